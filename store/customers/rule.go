package customers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"rollcall/store/pg"
)

// Limits of a rule.
const (
	maxRule   = 16 << 10 // bytes
	maxDepth  = 4        // groups around a leaf
	maxLeaves = 50
	maxValues = 100 // of one part
)

// Rule chooses customers: a tree of groups (all, any, none) over leaves. The zero Rule is
// a leaf about nothing, which everybody meets.
type Rule struct {
	Group string // all, any or none; empty: a leaf
	Rules []Rule // of a group

	About string              // of a leaf: the name of a Thing
	Parts map[string][]string // its parts, by name; all of them hold for the same row of the thing
}

// ParseRule reads a rule's JSON:
//
//	{"all": [rule…]}, {"any": [rule…]}, {"none": [rule…]}
//	{"enrollment": {"course": "course_1", "progress_max": 10}}
//	{"tag": "tag_4k2mcv5x7h"}
//
// Its errors are *pg.BadParam, and say where in the rule they are.
func ParseRule(text string) (Rule, error) {
	if len(text) > maxRule {
		return Rule{}, pg.Refuse("rule", "is %d bytes long, at most %d are allowed", len(text), maxRule)
	}
	var value any
	err := json.Unmarshal([]byte(text), &value)
	if syntax, is := errors.AsType[*jsontext.SyntacticError](err); is && syntax.Err == jsontext.ErrDuplicateName {
		return Rule{}, wrongAt(string(syntax.JSONPointer), "stands twice; give each key once")
	}
	if err != nil || !pg.Storable(text) {
		return Rule{}, pg.Refuse("rule", `is not JSON; give for example {"tag": "tag_4k2mcv5x7h"}`)
	}
	r, err := readRule("", value)
	if err != nil {
		return Rule{}, err
	}
	if n := r.Depth(); n > maxDepth {
		return Rule{}, pg.Refuse("rule", "has groups %d deep, at most %d are allowed", n, maxDepth)
	}
	if n := len(r.Leaves()); n > maxLeaves {
		return Rule{}, pg.Refuse("rule", "has %d conditions, at most %d are allowed", n, maxLeaves)
	}
	return r, nil
}

// wrongAt refuses what stands at a path of a rule.
func wrongAt(path, format string, args ...any) error {
	if path == "" {
		return pg.Refuse("rule", format, args...)
	}
	return pg.Refuse("rule", "%s %s", path, fmt.Sprintf(format, args...))
}

var groups = []string{"all", "any", "none"}

// readRule reads the rule at a path.
func readRule(path string, value any) (r Rule, err error) {
	object, ok := value.(map[string]any)
	if !ok || len(object) != 1 {
		return r, wrongAt(path, `is not an object with one key; give one of %s, %s`, strings.Join(groups, ", "),
			strings.Join(thingNames(), ", "))
	}
	key := slices.Collect(maps.Keys(object))[0]
	path, value = path+"/"+key, object[key]
	thing := thingNamed(key)
	switch {
	case slices.Contains(groups, key):
		return readGroup(path, key, value)
	case thing == nil:
		return r, wrongAt(path, "is not known; allowed are %s, %s", strings.Join(groups, ", "),
			strings.Join(thingNames(), ", "))
	}
	return readLeaf(path, thing, value)
}

func readGroup(path, group string, value any) (r Rule, err error) {
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return r, wrongAt(path, "is no list of conditions; give at least one")
	}
	r.Group = group
	for i, value := range list {
		one, err := readRule(path+"/"+strconv.Itoa(i), value)
		if err != nil {
			return r, err
		}
		r.Rules = append(r.Rules, one)
	}
	return r, nil
}

func readLeaf(path string, about *Thing, value any) (r Rule, err error) {
	object, ok := value.(map[string]any)
	switch {
	case about.short():
		object = map[string]any{about.Parts[0].Name: value}
	case !ok:
		return r, wrongAt(path, "is not an object; its keys are %s", strings.Join(about.partNames(), ", "))
	case len(object) == 0 && about.From == "":
		return r, wrongAt(path, "is empty; its keys are %s", strings.Join(about.partNames(), ", "))
	}
	r = Rule{About: about.Name, Parts: map[string][]string{}}
	for name, value := range object {
		at := path
		if !about.short() {
			at += "/" + name
		}
		p := about.part(name)
		if p == nil {
			return r, wrongAt(at, "is not known; allowed are %s", strings.Join(about.partNames(), ", "))
		}
		if r.Parts[name], err = readPart(at, p, value); err != nil {
			return r, err
		}
	}
	return r, about.checkTimes(path, r)
}

// readPart reads the values of a part: a text or a number, or a list of them.
func readPart(path string, p *Part, value any) (values []string, err error) {
	list, several := value.([]any)
	if !several {
		list = []any{value}
	}
	if len(list) == 0 || len(list) > maxValues || several && !p.Multi {
		return nil, wrongAt(path, "has %d values; give %s", len(list), p.howMany())
	}
	for _, one := range list {
		text, ok := one.(string)
		if n, number := one.(float64); number {
			text, ok = strconv.FormatFloat(n, 'f', -1, 64), true
		}
		if one == "" {
			return nil, wrongAt(path, "is empty; give a value")
		}
		if !ok {
			return nil, wrongAt(path, "is no text and no number")
		}
		if err := p.check(path, text); err != nil {
			return nil, err
		}
		values = append(values, text)
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// String is the rule's canonical JSON: two rules that say the same in the same order have
// the same.
func (r Rule) String() string {
	text, err := json.Marshal(r.value(), json.Deterministic(true))
	if err != nil {
		return "" // texts, lists and maps always marshal
	}
	return string(text)
}

// MarshalJSON is the rule's canonical JSON.
func (r Rule) MarshalJSON() ([]byte, error) { return []byte(r.String()), nil }

// value is the rule as JSON has it.
func (r Rule) value() any {
	if r.Group != "" {
		list := []any{}
		for _, one := range r.Rules {
			list = append(list, one.value())
		}
		return map[string]any{r.Group: list}
	}
	thing := thingNamed(r.About)
	if thing == nil {
		return nil
	}
	parts := map[string]any{}
	for name, values := range r.Parts {
		parts[name] = thing.part(name).value(values)
	}
	if thing.short() {
		return map[string]any{r.About: parts[thing.Parts[0].Name]}
	}
	return map[string]any{r.About: parts}
}

// value is a part's values as JSON has them.
func (p *Part) value(values []string) any {
	if len(values) > 1 {
		return values
	}
	if n, err := strconv.ParseFloat(values[0], 64); err == nil && p.Number {
		return n
	}
	return values[0]
}

// Leaves are the leaves of the rule, in order.
func (r Rule) Leaves() (leaves []Rule) {
	if r.Group == "" {
		if r.About == "" {
			return nil
		}
		return []Rule{r}
	}
	for _, one := range r.Rules {
		leaves = append(leaves, one.Leaves()...)
	}
	return leaves
}

// Depth is how many groups are around the deepest leaf.
func (r Rule) Depth() (depth int) {
	if r.Group == "" {
		return 0
	}
	for _, one := range r.Rules {
		depth = max(depth, one.Depth())
	}
	return depth + 1
}

// Segments are the ids of the segments that the rule names.
func (r Rule) Segments() []string { return r.values("segment", "id") }

// values are the values of a part in all leaves about a thing, each once.
func (r Rule) values(about, part string) (values []string) {
	for _, leaf := range r.Leaves() {
		if leaf.About == about {
			values = append(values, leaf.Parts[part]...)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}
