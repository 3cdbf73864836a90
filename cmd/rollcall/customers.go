package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/creators"
)

type customersCmd struct {
	List customersListCmd `cmd:"" help:"List customers, filtered as on their page."`
	Show customersShowCmd `cmd:"" help:"Show one customer: courses, purchases, subscriptions, tags."`
}

type customersListCmd struct {
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
	Sort  string `name:"sort" placeholder:"KEY" default:"-last_activity" help:"Order: last_activity, first_seen, spent, name or email; with - before it, descending (${default})."`
	CSV   bool   `name:"csv" xor:"as" help:"Print CSV with all that match, as the page's download."`
	listFlags
	Filters kong.Plugins `embed:""`
}

// Help is shown below the usage.
func (customersListCmd) Help() string {
	return `Filters are those of the page and the API; a customer must meet all of them. Those with VALUE,... take ` +
		`several: any of these. WHEN is a day, a time (2026-01-12T10:00:00Z) or an age (30d). Ids of customers are numbers ` +
		`here, which pages and the API take from operators, too.`
}

func (c customersListCmd) Run(e *env) error {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	if c.CSV {
		return plain(customers.New(s).ExportCustomers(e, filter, creators.CSV(e.out)))
	}
	all, more, err := pages(c.listFlags, func(cursor string, limit int) ([]customers.Customer, string, error) {
		filter.Cursor, filter.Limit = cursor, limit
		return customers.New(s).Customers(e, filter)
	})
	if err != nil {
		return plain(err)
	}
	none := fmt.Sprintf("No customers in store %s yet.", c.Store)
	if filter.Narrow() {
		none = "No customers match."
	}
	return listing[customers.Customer]{
		none: none, more: moreByFlags,
		head: []string{"ID", "EMAIL", "NAME", "TYPE", "STATUS", "SPENT", "COURSES", "LAST ACTIVITY (UTC)"},
		row: func(c customers.Customer) []string {
			return []string{c.ID, harmless(c.Email), orDash(harmless(clip(deref(c.Name), 30))), show.Types[c.Type], c.Status,
				orDash(monies(c.TotalSpent)), fmt.Sprint(len(c.Courses)), dateTime(c.LastActivityAt)}
		},
	}.print(e, c.JSON, all, more)
}

// filter is what the flags select.
func (c customersListCmd) filter() (customers.Filter, error) {
	if err := c.check(); err != nil {
		return customers.Filter{}, err
	}
	q := filterValues(c.Filters)
	q.Set("sort", c.Sort)
	f, err := customers.ParseFilter(c.Store, q)
	return f, plain(err)
}

type customersShowCmd struct {
	Ref   string `arg:"" name:"customer" help:"The customer's email address, or id (the first column of list)."`
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
	JSON  bool   `name:"json" help:"Print JSON, as the API does; ids are numbers."`
}

// Help is shown below the usage.
func (customersShowCmd) Help() string {
	return `Why a person is on a list, or not, with each fact: rollcall doctor --email ADDRESS.`
}

func (c customersShowCmd) Run(e *env) error {
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	id := c.Ref
	if strings.Contains(c.Ref, "@") {
		id, err = customers.New(s).CustomerAt(e, c.Store, facts.Email(c.Ref))
	}
	var found customers.Customer
	if err == nil {
		found, err = customers.New(s).Customer(e, c.Store, id)
	}
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return e.noCustomer(c)
	case err != nil:
		return err
	case c.JSON:
		return printJSON(e.out, found)
	}
	printCustomer(e.out, found)
	return nil
}

// noCustomer says that there is no such customer, and where to look.
func (e *env) noCustomer(c customersShowCmd) error {
	if strings.Contains(c.Ref, "@") {
		return fmt.Errorf("%s is not on the list of store %s; `%s` says why", c.Ref, c.Store,
			e.at("rollcall doctor --email "+quote(c.Ref)))
	}
	return fmt.Errorf("store %s has no customer %q; `%s` shows their ids", c.Store, c.Ref,
		e.at("rollcall customers list --store "+quote(c.Store)))
}

func printCustomer(w io.Writer, c customers.Customer) {
	line := lines{w}.add
	line("customer", c.ID)
	line("email", harmless(c.Email))
	line("name", harmless(deref(c.Name)))
	line("type", show.Types[c.Type]+", "+c.Status)
	line("source", harmless(sourceText(c.Source)))
	line("spent", monies(c.TotalSpent))
	line("refunded", monies(c.Refunded))
	lines{w}.addTime("first seen", c.FirstSeenAt, time.RFC3339)
	lines{w}.addTime("last active", c.LastActivityAt, time.RFC3339)
	var tags []string
	for _, t := range c.Tags {
		tags = append(tags, harmless(t.Name))
	}
	line("tags", strings.Join(tags, ", "))
	for _, course := range c.Courses {
		line("course", fmt.Sprintf("%s, %.0f%%", harmless(course.Title), course.Progress)+
			dated(", since ", course.EnrolledAt)+dated(", completed ", course.CompletedAt))
	}
	for _, p := range c.Purchases {
		line("purchase", fmt.Sprintf("%s, %s", harmless(cmp.Or(deref(p.Title), p.Kind)), money(p.Amount, p.Currency))+
			dated(", ", p.PurchasedAt))
	}
	for _, v := range c.Subscriptions {
		line("subscription", fmt.Sprintf("%s, %s", harmless(cmp.Or(deref(v.Plan), v.ID)), v.Status)+
			dated(", period ends ", v.CurrentPeriodEnd))
	}
}

func sourceText(s customers.Source) string {
	kind := strings.ReplaceAll(deref(s.Kind), "_", " ")
	if s.Title == nil || kind == "" {
		return kind
	}
	return kind + ": " + *s.Title
}

// dated is a time behind some words; nothing if there is none.
func dated(words string, t *time.Time) string {
	if t == nil {
		return ""
	}
	return words + t.UTC().Format(time.DateOnly)
}
