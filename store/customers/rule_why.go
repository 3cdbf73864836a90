package customers

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Why tells whether a customer meets a rule, and each part of it. Its JSON is the API's.
type Why struct {
	Met   bool   `json:"met"`
	Group string `json:"group,omitempty"` // all, any or none; empty: a condition
	Text  string `json:"text"`
	Facts string `json:"facts,omitempty"` // what is known of the customer that decides it
	Parts []Why  `json:"parts,omitempty"` // of a group, or of the segment that is named
}

// Why tells why a customer meets a store's rule, or does not. ErrNotFound also for another
// store's.
func (s *Reader) Why(ctx context.Context, storeID, customer string, r Rule) (w Why, c Customer, err error) {
	defer pg.Wrap(&err, "customers.Why(%q, %q)", storeID, customer)
	if c, err = s.Customer(ctx, storeID, customer); err != nil {
		return Why{}, c, err
	}
	saved, err := s.savedSegments(ctx, s.Pool, storeID, r)
	if err != nil {
		return Why{}, c, err
	}
	labels, err := s.LabelsOf(ctx, storeID, Rule{Group: "all", Rules: append(rulesOf(saved), r)})
	if err != nil {
		return Why{}, c, err
	}
	if labels.zone, err = s.zone(ctx, storeID); err != nil {
		return Why{}, c, err
	}
	_, found, err := facetsAndSought(ctx, s.Pool, storeID, expanded(r, saved, nil))
	if err != nil {
		return Why{}, c, err
	}
	e := decider{compiler: compiler{store: storeID, now: s.now(), sought: found}, saved: saved, labels: labels, one: c,
		args: &pg.Arguments{}}
	w = e.of(r, nil)
	n, err := pg.CustomerID(storeID, c.ID)
	if err != nil {
		return Why{}, c, err
	}
	met, err := s.met(ctx, e, n)
	w.decide(&met)
	return w, c, err
}

// rulesOf are the rules of saved segments.
func rulesOf(saved map[string]savedSegment) (rules []Rule) {
	for _, one := range saved {
		if one.Rule != nil {
			if r, err := ParseRule(*one.Rule); err == nil {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// met decides all conditions that e has collected.
func (s *Reader) met(ctx context.Context, e decider, customer int64) (met []bool, err error) {
	list := e.columns[0]
	for _, column := range e.columns[1:] {
		list += ",\n" + column
	}
	err = s.Pool.QueryRow(ctx, `
		SELECT ARRAY[`+list+`]
		FROM customers c
		JOIN customer_index i ON i.customer_id = c.id
		WHERE c.id = `+e.args.Add(customer), append([]any{pgx.QueryExecModeExec}, *e.args...)...).Scan(&met)
	if errors.Is(err, pgx.ErrNoRows) {
		err = pg.ErrNotFound // gone meanwhile
	}
	return met, err
}

// decider collects the conditions of a rule's parts.
type decider struct {
	compiler
	saved   map[string]savedSegment
	labels  Labels
	one     Customer
	columns []string
	args    *pg.Arguments
}

// of is what is to be decided of a rule, in the order of e.columns; around are the
// segments that it is in.
func (e *decider) of(r Rule, around []string) Why {
	w := Why{Group: r.Group, Text: list(r.clauses(e.labels), "and"), Facts: factsOf(r, e.one, e.labels)}
	sql := and(e.all(expanded(r, e.saved, around)))
	list := &pg.Conditions{Args: e.args}
	list.AddAll(sql.ofOne(), sql.args)
	e.columns = append(e.columns, "("+list.SQL[0]+") IS TRUE")
	for _, one := range r.Rules {
		w.Parts = append(w.Parts, e.of(one, around))
	}
	if r.About == "segment" {
		id := r.Parts["id"][0]
		if inner, static := inside(id, e.saved, around); !static && len(inner.Leaves()) > 0 {
			w.Parts = append(w.Parts, e.of(inner, append(slices.Clone(around), id)))
		}
	}
	return w
}

// decide fills in what was met, in the same order.
func (w *Why) decide(met *[]bool) {
	if len(*met) == 0 {
		return
	}
	w.Met, *met = (*met)[0], (*met)[1:]
	for i := range w.Parts {
		w.Parts[i].decide(met)
	}
}
