package segments

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

// Limits of a rule with the rules of the segments that it names in their places.
const (
	maxDepth  = 4
	maxLeaves = 200
)

// check checks what a segment says of itself, trims its name, and has its rule as rules are
// written.
func (g *Segment) check() (err error) {
	if g.Name, err = tags.CheckName(g.Name); err != nil {
		return err
	}
	switch given := g.rule() != nil; {
	case g.Kind != Dynamic && g.Kind != Static:
		return pg.Refuse("kind", "%q is not known; allowed are dynamic and static", g.Kind)
	case g.Kind == Static && given:
		return pg.Refuse("rule", "is for dynamic segments: leave it out, and put customers into the segment")
	case g.Kind == Dynamic && !given:
		return pg.Refuse("rule", "is missing: a dynamic segment is all customers who match it")
	case given:
		r, err := customers.ParseRule(string(g.Rule))
		if err != nil {
			return err
		}
		g.Rule = json.RawMessage(r.String())
	}
	return nil
}

// checkNamed refuses a rule that names what the store does not have.
func (g Segment) checkNamed(ctx context.Context, tx pgx.Tx, store string) error {
	if g.rule() == nil {
		return nil
	}
	r, err := customers.ParseRule(string(g.Rule))
	if err != nil {
		return err
	}
	return r.CheckNamed(ctx, tx, store, "rule")
}

// rule is the rule as text; nil: none.
func (g Segment) rule() *string {
	if text := string(g.Rule); text != "" && text != "null" {
		return &text
	}
	return nil
}

// size is how large a rule is, with the rules of the segments that it names.
type size struct{ depth, leaves int }

// nesting measures the segments of a store.
type nesting struct {
	all  []Segment
	path []string // the ids of the segments that are being measured, each of which names the next
}

// checkNested refuses a change after which segments name each other in a circle, or are too large. One that was larger
// before is kept: it still finds its customers.
func checkNested(before, all []Segment) error {
	old, n := &nesting{all: before}, &nesting{all: all}
	for _, g := range all {
		is, err := n.segment(g.ID)
		if err != nil {
			return err
		}
		if is.depth <= maxDepth && is.leaves <= maxLeaves {
			continue
		}
		was, err := old.segment(g.ID)
		if err != nil || is.depth > max(was.depth, maxDepth) || is.leaves > max(was.leaves, maxLeaves) {
			return pg.Refuse("rule", "makes the segment %q too large with the segments that it names: at most %d conditions, "+
				"in groups %d deep, are allowed", g.Name, maxLeaves, maxDepth)
		}
	}
	return nil
}

// segment measures a segment. One that does not exist matches no one, and is a leaf.
func (n *nesting) segment(id string) (is size, err error) {
	i := slices.IndexFunc(n.all, func(g Segment) bool { return g.ID == id })
	if i < 0 || n.all[i].rule() == nil {
		return size{0, 1}, nil
	}
	if slices.Contains(n.path, id) {
		return is, pg.Refuse("rule", "goes in a circle: the segment %q would name itself, if only by way of others",
			n.all[i].Name)
	}
	r, err := customers.ParseRule(string(n.all[i].Rule))
	if err != nil {
		return is, err
	}
	n.path = append(n.path, id)
	defer func() { n.path = n.path[:len(n.path)-1] }()
	return n.node(r)
}

// node measures a part of a rule.
func (n *nesting) node(r customers.Rule) (is size, err error) {
	if r.Group != "" {
		return n.parts(len(r.Rules), func(i int) (size, error) { return n.node(r.Rules[i]) })
	}
	if ids := r.Segments(); len(ids) > 0 {
		is, err = n.parts(len(ids), func(i int) (size, error) { return n.segment(ids[i]) })
		return size{is.depth - 1, is.leaves}, err
	}
	return size{0, 1}, nil
}

// parts adds up so many parts of a group.
func (n *nesting) parts(count int, measure func(i int) (size, error)) (is size, err error) {
	for i := range count {
		part, err := measure(i)
		if err != nil {
			return is, err
		}
		is.depth, is.leaves = max(is.depth, part.depth), is.leaves+part.leaves
		if is.leaves > maxLeaves {
			break // it may be a very long way to the end
		}
	}
	is.depth++
	return is, nil
}
