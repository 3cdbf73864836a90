package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/internal/scenario"
	"rollcall/internal/show"
	"rollcall/store/customers"
)

// List is one store's list from the API.
type List struct {
	Customers []customers.Customer
	Stats     customers.Stats
}

// pageSize is small, so that a list takes several pages.
const pageSize = 5

// readLists reads the lists of all stores, and returns how many customers they have.
func (p *Player) readLists(ctx context.Context) (customers int, err error) {
	p.Lists = map[string]List{}
	for _, s := range p.Scenario.Stores {
		l, err := p.readList(ctx, "/api/stores/"+url.PathEscape(s.Row["store"]))
		if err != nil && !errors.Is(err, errUnknown) { // no event has mentioned the store yet
			return 0, err
		}
		p.Lists[s.Row["store"]] = l
		customers += len(l.Customers)
	}
	return customers, nil
}

func (p *Player) readList(ctx context.Context, base string) (l List, err error) {
	for cursor := ""; ; {
		var page struct {
			Data       []customers.Customer
			NextCursor *string `json:"next_cursor"`
		}
		query := url.Values{"sort": {"-last_activity"}, "limit": {fmt.Sprint(pageSize)}, "cursor": {cursor}}
		if err := p.ask(ctx, http.MethodGet, base+"/customers?"+query.Encode(), "", &page); err != nil {
			return l, err
		}
		l.Customers = append(l.Customers, page.Data...)
		if page.NextCursor == nil {
			return l, p.ask(ctx, http.MethodGet, base+"/stats", "", &l.Stats)
		}
		cursor = *page.NextCursor
	}
}

// errUnknown is an answer about something that is not there.
var errUnknown = errors.New("not found")

// ask does a request to the API as an operator, and reads its answer.
func (p *Player) ask(ctx context.Context, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, p.at.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.at.AdminToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	status, text, err := p.do(req)
	if err != nil {
		return err
	}
	if status == http.StatusNotFound {
		return fmt.Errorf("%s %s: %w: %s", method, path, errUnknown, text)
	}
	if status != http.StatusOK && status != http.StatusAccepted {
		return fmt.Errorf("%s %s was answered %d: %s", method, path, status, text)
	}
	return json.Unmarshal([]byte(text), into)
}

func (p *Player) do(req *http.Request) (status int, body string, err error) {
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// Differences compares lists, backfills and inbox with the scenario. The inbox must hold
// every event once.
func (p *Player) Differences() []string {
	all := slices.Clone(p.Missed)
	for _, s := range p.Scenario.Stores {
		all = append(all, compare(s, p.Lists[s.Row["store"]])...)
	}
	kept := int64(0)
	for _, n := range p.Sent.Counts {
		kept += n
	}
	if kept != int64(p.Sent.Events) {
		all = append(all, fmt.Sprintf("the inbox holds %d events, the scenario has %d", kept, p.Sent.Events))
	}
	if n := p.Sent.Counts["failed"]; n > 0 {
		all = append(all, fmt.Sprintf("%d events failed; `rollcall events list --status failed` shows why", n))
	}
	if p.Sent.Accepted != p.Sent.Events {
		all = append(all, fmt.Sprintf("%d deliveries were answered as new, the scenario has %d events", p.Sent.Accepted,
			p.Sent.Events))
	}
	return all
}

// compare lists the differences between a list and what it must say.
func compare(s scenario.Store, l List) (differences []string) {
	name, got := s.Row["name"], map[string]scenario.Row{}
	for _, c := range l.Customers {
		if got[c.Email] != nil {
			differences = append(differences, fmt.Sprintf("%s: %s is on the list twice", name, c.Email))
		}
		got[c.Email] = rowOf(c)
	}
	for _, want := range s.Customers {
		email := want["email"]
		if got[email] == nil {
			differences = append(differences, fmt.Sprintf("%s: %s is missing", name, email))
			continue
		}
		differences = append(differences, compareRow(name+": "+email, want, got[email])...)
		delete(got, email)
	}
	for email := range got {
		differences = append(differences, fmt.Sprintf("%s: %s is on the list and should not be", name, email))
	}
	figures := figuresOf(l.Stats)
	figures["name"] = name
	return append(differences, compareRow(name, s.Row, figures)...)
}

// compareRow lists the fields that differ.
func compareRow(where string, want, got scenario.Row) (differences []string) {
	for _, field := range fields {
		if want[field] != got[field] {
			differences = append(differences, fmt.Sprintf("%s: %s is %q, the scenario says %q", where, field,
				got[field], want[field]))
		}
	}
	return differences
}

// fields are those that are compared: of customers, and of a store's figures.
var fields = strings.Fields(
	"name type status source spent refunded courses purchases subscriptions first_seen last_activity " +
		"customers leads paying subscribers active revenue")

// rowOf turns a customer from the API into a row of the scenario.
func rowOf(c customers.Customer) scenario.Row {
	var courses, purchases, plans []string
	for _, v := range c.Courses {
		courses = append(courses, fmt.Sprintf("%s %.3g %%", v.Title, v.Progress))
	}
	slices.Sort(courses)
	for _, v := range c.Purchases {
		text := deref(v.Title) + " " + show.Money(v.Amount, v.Currency)
		if v.Refunded > 0 {
			text += " (" + show.Money(v.Refunded, v.Currency) + " refunded)"
		}
		purchases = append(purchases, text)
	}
	for _, v := range c.Subscriptions {
		plans = append(plans, deref(v.Plan)+" "+v.Status)
	}
	return scenario.Row{
		"email": c.Email, "name": deref(c.Name), "type": c.Type, "status": c.Status, "source": deref(c.Source.Kind),
		"spent": show.Monies(c.TotalSpent), "refunded": show.Monies(c.Refunded),
		"courses": strings.Join(courses, ", "), "purchases": strings.Join(purchases, ", "),
		"subscriptions": strings.Join(plans, ", "),
		"first_seen":    moment(c.FirstSeenAt), "last_activity": moment(c.LastActivityAt),
	}
}

func figuresOf(s customers.Stats) scenario.Row {
	return scenario.Row{
		"customers": fmt.Sprint(s.Total), "leads": fmt.Sprint(s.Leads), "paying": fmt.Sprint(s.Paying),
		"subscribers": fmt.Sprint(s.Subscribers), "active": fmt.Sprint(s.Active), "revenue": show.Monies(s.Revenue),
	}
}

func moment(t *time.Time) string { return deref(t).UTC().Format(time.RFC3339) }

func deref[T any](p *T) T { return *cmp.Or(p, new(T)) }
