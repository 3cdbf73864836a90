package segments

import (
	"encoding/json"
	"slices"

	"rollcall/store/pg"
	"rollcall/store/tags"
)

// Limits of a rule with the rules of the segments that it names in their places.
const (
	maxDepth  = 8
	maxLeaves = 200
)

// errRule is the error of a rule that is none at all.
var errRule = pg.Refuse("rule", "is not a JSON object with the conditions")

// check checks what a segment says of itself, and trims its name.
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
		return checkRule(*g.rule())
	}
	return nil
}

// rule is the rule as text; nil: none.
func (g Segment) rule() *string {
	if text := string(g.Rule); text != "" && text != "null" {
		return &text
	}
	return nil
}

// checkRule checks a rule without the segments that it names.
func checkRule(text string) error {
	var any map[string]json.RawMessage
	if !pg.Storable(text) || json.Unmarshal([]byte(text), &any) != nil {
		return errRule
	}
	return nil
}

// size is how large a rule is, with the rules of the segments that it names.
type size struct{ depth, leaves int }

// nesting measures the segments of a store.
type nesting struct {
	all  []Segment
	path []string // the names of the segments that are being measured, each of which names the next
}

// checkNested refuses segments that name each other in a circle, are gone, or become too
// large.
func checkNested(all []Segment) error {
	n := &nesting{all: all}
	for _, g := range all {
		is, err := n.segment(g.ID)
		if err != nil {
			return err
		}
		if is.depth > maxDepth || is.leaves > maxLeaves {
			return pg.Refuse("rule", "makes the segment %q too large with the segments that it names: "+
				"%d conditions, %d levels deep; at most %d and %d are allowed", g.Name, is.leaves, is.depth, maxLeaves, maxDepth)
		}
	}
	return nil
}

// segment measures a segment. One that does not exist matches no one, and is a leaf.
func (n *nesting) segment(id string) (is size, err error) {
	i := slices.IndexFunc(n.all, func(g Segment) bool { return g.ID == id })
	if i < 0 || n.all[i].rule() == nil {
		return size{1, 1}, nil
	}
	name := n.all[i].Name
	if slices.Contains(n.path, name) {
		return is, pg.Refuse("rule", "goes in a circle: the segment %q names itself, by way of others", name)
	}
	n.path = append(n.path, name)
	defer func() { n.path = n.path[:len(n.path)-1] }()
	return n.node(n.all[i].Rule)
}

// node measures a part of a rule.
func (n *nesting) node(text json.RawMessage) (is size, err error) {
	var node map[string]json.RawMessage
	if json.Unmarshal(text, &node) != nil {
		return is, errRule
	}
	for key, value := range node {
		switch key {
		case "segment":
			var id string
			if json.Unmarshal(value, &id) != nil {
				return is, errRule
			}
			return n.segment(id)
		case "all", "any", "none":
			return n.group(value)
		}
	}
	return size{1, 1}, nil
}

// group measures the parts of a group.
func (n *nesting) group(text json.RawMessage) (is size, err error) {
	var parts []json.RawMessage
	if json.Unmarshal(text, &parts) != nil {
		return is, errRule
	}
	for _, p := range parts {
		part, err := n.node(p)
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
