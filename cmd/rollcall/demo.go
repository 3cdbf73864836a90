package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"rollcall/cmd/rollcall/internal/demo"
	"rollcall/facts"
	"rollcall/internal/scenario"
	"rollcall/internal/show"
	"rollcall/store/customers"
	"rollcall/store/value"
	"rollcall/webhooks"
)

type demoCmd struct {
	Exit bool   `name:"exit" help:"Stop after printing the lists: status 0 if they match the scenario, else 1."`
	Seed uint64 `name:"seed" placeholder:"N" help:"Shuffle like the earlier demo that printed this number."`
}

// Help is shown below the usage.
func (demoCmd) Help() string {
	return `Runs like dev, on its own database, which it empties first; the data of dev in the same folder stays. It ` +
		`loads the history of one store and imports its customers by backfills. Then it plays some weeks of three other ` +
		`stores: Clerk, Stripe and the platform send signed webhooks over HTTP, late, repeated and in random order. At ` +
		`last it prints the customer lists from the API, and compares them with the scenario.`
}

func (c demoCmd) Run(e *env) error {
	if e.LogLevel == "info" {
		e.LogLevel = "error" // the demo causes warnings on purpose
	}
	e.StripeMode = new("any") // the scenario has test events
	fmt.Fprintln(e.err, "Starting …")
	d, err := e.startDev(e.logger(e.err), func(at where) (where, func() error, error) { return playground(e, at) })
	if err != nil {
		return err
	}
	right, err := c.play(e, d)
	if err == nil {
		err = d.startMail(e)
	}
	if err != nil {
		return errors.Join(err, d.close())
	}
	if c.Exit {
		if err := d.close(); err != nil {
			return err
		}
		if !right {
			return errReported
		}
		return nil
	}
	d.describe(e.out, "/store/"+demoStore+"/customers")
	fmt.Fprintln(e.out, "The demo's data is deleted when it stops.")
	return d.wait(e)
}

// play plays the scenario and reports whether the lists match it.
func (c demoCmd) play(e *env, d *dev) (right bool, err error) {
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(999999) + 1
	}
	p, err := demo.New(d.target(), c.Seed)
	if err != nil {
		return false, err
	}
	if err := bringPast(e, p); err != nil {
		return false, err
	}
	if err := d.bringYear(e); err != nil {
		return false, err
	}
	if err := p.Play(e); err != nil {
		return false, err
	}
	if err := d.askValue(e, p); err != nil {
		return false, err
	}
	printLists(e.out, p)
	printSent(e.out, p.Sent, c.Seed)
	differences := p.Differences()
	return len(differences) == 0, verdict(e.out, differences)
}

// target is where the demo sends its events.
func (d *dev) target() demo.Target {
	c, bar := d.env.Config, d.env.progress()
	secret := func(list *string) string {
		first, _, _ := strings.Cut(given(list), ",")
		return strings.TrimSpace(first)
	}
	return demo.Target{
		URL: d.url, AdminToken: given(c.AdminToken), Show: bar.show, Clear: bar.clear,
		Secrets: map[string]string{
			webhooks.Stripe: secret(c.StripeSecrets), webhooks.Clerk: secret(c.ClerkSecrets),
			webhooks.Platform: secret(c.PlatformSecrets),
		},
		Keep: func(ctx context.Context, past facts.Set) error {
			s, err := d.env.openAt(d.at.database)
			if err != nil {
				return err
			}
			defer s.Close()
			return s.Keep(ctx, past)
		},
	}
}

// bringPast loads older data, and imports it by backfills.
func bringPast(e *env, p *demo.Player) error {
	customers, err := p.LoadPast(e)
	if err != nil {
		return err
	}
	last := p.Scenario.Stores[len(p.Scenario.Stores)-1]
	fmt.Fprintf(e.out, "\n%s was there before Rollcall. What its people did is loaded, and its list\nhas %d customers. "+
		"Two backfills bring them in:\n\n",
		last.Row["name"], customers)
	for _, want := range p.Scenario.Backfills {
		b, err := p.Backfill(e, want)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.out, "  %s\n  %s\n", opening(b), closing(b))
	}
	return nil
}

// bringYear loads more than a year of another store, so that its charts have something to show.
func (d *dev) bringYear(e *env) error {
	s, err := e.openAt(d.at.database)
	if err != nil {
		return err
	}
	defer s.Close()
	year := scenario.Year(time.Now())
	if err := s.Keep(e, year); err != nil {
		return err
	}
	changes, err := s.Rebuild(e, "", nil)
	fmt.Fprintf(e.out, "\n%s has been there for more than a year, and has %d customers. What they are\n"+
		"worth is on /store/%s/value.\n", year.Stores[0].Name, changes.Created, scenario.YearStore)
	return err
}

// askValue has workers compute what the customers of all stores are worth.
func (d *dev) askValue(e *env, p *demo.Player) error {
	s, err := e.openAt(d.at.database)
	if err != nil {
		return err
	}
	defer s.Close()
	for id := range p.Lists {
		if err := value.New(s).Ask(e, id); err != nil {
			return err
		}
	}
	return value.New(s).Ask(e, scenario.YearStore)
}

func verdict(w io.Writer, differences []string) error {
	if len(differences) == 0 {
		_, err := fmt.Fprintln(w, "\nThe lists are what the scenario says.")
		return err
	}
	fmt.Fprintf(w, "\nTHE LISTS ARE NOT WHAT THE SCENARIO SAYS: %s\n", count(len(differences), "difference"))
	for _, d := range differences {
		fmt.Fprintln(w, "  "+d)
	}
	return nil
}

// listed is how many customers of a list are printed.
const listed = 12

// printLists prints the lists of all stores, as the API gave them.
func printLists(w io.Writer, p *demo.Player) {
	now := time.Now()
	for _, s := range p.Scenario.Stores {
		l := p.Lists[s.Row["store"]]
		fmt.Fprintf(w, "\n%s  (%s)\n\n", s.Row["name"], s.Row["store"])
		t := table{head: []string{"NAME", "EMAIL", "TYPE", "STATUS", "SPENT", "LAST ACTIVITY"}, indent: "  "}
		for _, c := range l.Customers[:min(listed, len(l.Customers))] {
			t.add(deref(c.Name), c.Email, show.Types[c.Type], c.Status, orDash(monies(c.TotalSpent)),
				ago(now.Sub(deref(c.LastActivityAt))))
			if things := has(c); things != "" {
				t.add("  " + things)
			}
		}
		t.print(w)
		if more := len(l.Customers) - listed; more > 0 {
			fmt.Fprintf(w, "  … and %d more\n", more)
		}
		fmt.Fprintf(w, "\n  %s\n", statsText(l.Stats))
	}
	fmt.Fprintf(w, "\nNot expected on a list:\n")
	t := table{head: []string{"NAME", "EMAIL", "WHY"}, indent: "  "}
	for _, a := range p.Scenario.Absent {
		t.add(a["name"], a["email"], a["absent"])
	}
	t.print(w)
}

func statsText(s customers.Stats) string {
	return fmt.Sprintf("%s: %s, %d paying, %s; %d active; %s",
		count(int(s.Total), "customer"), count(int(s.Leads), "lead"), s.Paying, count(int(s.Subscribers), "subscriber"),
		s.Active, monies(s.Revenue))
}

// has is all that a customer has: courses, what else was bought, plans.
func has(c customers.Customer) string {
	prices := map[string]string{}
	for _, p := range c.Purchases {
		prices[deref(p.ProductID)] = " (" + priceText(p) + ")"
	}
	var parts []string
	for _, v := range c.Courses {
		parts = append(parts, fmt.Sprintf("%s %.3g %%", v.Title, v.Progress)+prices[v.ID])
		delete(prices, v.ID)
	}
	for _, p := range c.Purchases {
		if price, left := prices[deref(p.ProductID)]; left {
			parts = append(parts, deref(p.Title)+price)
		}
	}
	for _, v := range c.Subscriptions {
		parts = append(parts, fmt.Sprintf("%s (%s)", deref(v.Plan), v.Status))
	}
	if len(c.Refunded) > 0 && len(c.Purchases) == 0 {
		parts = append(parts, monies(c.Refunded)+" refunded")
	}
	return strings.Join(parts, " · ")
}

func priceText(p customers.Purchase) string {
	text := money(p.Amount, p.Currency)
	if p.Refunded > 0 {
		text += ", " + money(p.Refunded, p.Currency) + " refunded"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// printSent prints what was sent, and what became of it.
func printSent(w io.Writer, s demo.Sent, seed uint64) {
	fmt.Fprintf(w, `
Sent: %d webhooks in %d requests over %d connections, in random order (--seed %d),
  %d of them twice, %d before something they name, %d held back until all the
  others were through (the lists then had %d customers, now %d).
  One forged webhook was refused. Sent and worked through in %.1f s:
  %s.
`, s.Events, s.Requests, demo.Senders, seed, s.Doubled, s.Late, s.Held, s.Then, s.Now, s.Took.Seconds(),
		countsLine(s.Counts))
}
