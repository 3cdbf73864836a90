package main

import (
	"fmt"
	"io"
	"strings"

	"rollcall/store"
	"rollcall/store/finding"
)

// auditReport is the result of an audit, as JSON.
type auditReport struct {
	Against     string            `json:"against"`
	Store       string            `json:"store"`
	Mended      store.Differences `json:"mended,omitempty"` // what was found before --fix
	store.Audit                   // flattened: what differs, or still does
}

// print prints a report.
func (c auditCmd) print(e *env, r auditReport) error {
	if c.JSON {
		return printJSON(e.out, r)
	}
	if r.Mended != nil {
		fmt.Fprintln(e.out, "Looked again.")
	}
	printDifferences(e.out, r.Audit)
	printMoney(e.out, r.Audit)
	printOffLists(e.out, r.Audit)
	if !r.Clean() && !c.Fix {
		_, err := fmt.Fprintf(e.out, "\nNothing was changed. --fix fixes what can be fixed from here.\n")
		return err
	}
	return nil
}

// printDifferences prints what was compared, and the differences.
func printDifferences(w io.Writer, a store.Audit) {
	looked := fmt.Sprintf("%s and %s", count(int(a.Facts), "fact"), count(int(a.Customers), "customer"))
	if a.Objects > 0 || a.Facts == 0 && a.Customers == 0 && len(a.Unresolved) == 0 {
		looked = count(int(a.Objects), "object") + " read"
	}
	fmt.Fprintf(w, "%s in %s\n", count(int(a.Count()), "difference"), looked)
	printKinds(w, a.Differences)
}

// printKinds prints kinds of differences, or reasons, with their examples.
func printKinds(w io.Writer, kinds []finding.Finding) {
	for _, d := range kinds {
		fmt.Fprintf(w, "%8s  %s: %s\n", number(d.Count), d.Kind, d.Means)
		for _, f := range d.Examples {
			text := f.Place + ": " + f.What
			if f.Why != d.Means {
				text += ": " + f.Why
			}
			fmt.Fprintf(w, "%s%s\n", strings.Repeat(" ", 12), clip(text, maxExample))
		}
		if more := d.Count - int64(len(d.Examples)); more > 0 && len(d.Examples) > 0 {
			fmt.Fprintf(w, "%s… and %s more\n", strings.Repeat(" ", 12), number(more))
		}
	}
}

// maxExample is how many characters of an example are printed; JSON has all.
const maxExample = 400

// printOffLists prints why facts are unattached, apart from differences.
func printOffLists(w io.Writer, a store.Audit) {
	if len(a.Unresolved) > 0 {
		fmt.Fprintf(w, "\nMissing, waiting for something (these are not differences):\n")
		printKinds(w, a.Unresolved)
	}
	if len(a.Rightly) > 0 {
		fmt.Fprintf(w, "\nNot expected on a list:\n")
		printKinds(w, a.Rightly)
	}
}

// maxStores is how many stores that agree are printed; JSON has all.
const maxStores = 20

// printMoney prints each store's revenue, with differences first.
func printMoney(w io.Writer, a store.Audit) {
	if len(a.Money) == 0 {
		return
	}
	t := table{head: []string{"STORE", "PAID HERE", "AT STRIPE", "REFUNDED HERE", "AT STRIPE", ""}, indent: "  "}
	agree := 0
	for _, wanted := range []bool{false, true} {
		for _, m := range a.Money {
			if m.Agrees() != wanted {
				continue
			}
			remark := "differs"
			if wanted {
				if agree++; agree > maxStores {
					continue
				}
				remark = ""
			}
			name := m.Store
			if name == "" {
				name = "(no store known)"
			}
			t.add(name, money(m.Paid, m.Currency), money(m.StripePaid, m.Currency), money(m.Refunded, m.Currency),
				money(m.StripeRefunded, m.Currency), remark)
		}
	}
	fmt.Fprintln(w)
	t.print(w)
	if agree > maxStores {
		fmt.Fprintf(w, "  … and %s more that agree\n", number(int64(agree-maxStores)))
	}
}
