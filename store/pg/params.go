package pg

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of parameters.
const (
	DefaultLimit = 50
	MaxLimit     = 100

	maxQuery = 200  // characters of a search
	MaxParam = 4000 // bytes of any other parameter; a cursor may hold a long name
)

// Param defines a query parameter of a list. Parsing, the list's conditions, pages
// and the API's description all follow from it.
type Param struct {
	Name    string
	Value   *string    // in its filter; empty if it is not given
	Default string     // the value if it is not given
	Kind    *ParamKind // kind of its values; nil: any text
	Choices []Choice   // allowed values, the empty one for its label; nil: any of the kind
	Multi   bool       // it may be given several times: any of the values, each on a line of Value

	SQL  string // the condition that it adds: $? stands for the value
	On   string // instead, the part of a rule that it is short for: "enrollment.course"
	None bool   // that part must not hold

	Label   string // of its menu; empty: none
	Chip    string // a shorter label, for chips
	Group   string // what it is about; those of a group stand together, the first names it
	Unit    string // shown after its value: "%"
	Doc     string
	Example any
	Schema  string // name of the schema of Choices in the API's description; empty: inline
}

// Choices makes choices of pairs of a value and its label.
func Choices(valuesAndLabels ...string) (all []Choice) {
	for pair := range slices.Chunk(valuesAndLabels, 2) {
		all = append(all, Choice{pair[0], pair[1]})
	}
	return all
}

// Choice is an allowed value and its label.
type Choice struct{ Value, Label string }

// ParamKind is a kind of values.
type ParamKind struct {
	Schema   string // JSON Schema
	Doc      string // appended to a parameter's Doc
	Max      int    // bytes; 0: MaxParam
	Check    func(name, value string) error
	BuildSQL func(value string) (arg, sql string, ok bool) // an argument, and SQL that converts it; nil: the value itself
}

// Kinds of values of all lists.
var (
	Text   = &ParamKind{Schema: `{"type": "string"}`}
	Search = &ParamKind{Schema: fmt.Sprintf(`{"type": "string", "maxLength": %d}`, maxQuery), Check: checkSearch}
	Moment = &ParamKind{
		Schema:   Text.Schema,
		Doc:      " A day (its beginning, UTC), a time, or an age: `2026-01-31`, `2026-01-31T10:00:00Z`, `12h`, `30d`, `6w`.",
		Check:    checkMoment,
		BuildSQL: ParseMoment,
	}
)

// BadParam is a query parameter that is not valid. Its text is for the client: it
// says what is allowed.
type BadParam struct {
	Name   string
	Reason string
}

func (e *BadParam) Error() string { return e.Name + ": " + e.Reason }

func Refuse(name, format string, args ...any) error {
	return &BadParam{name, fmt.Sprintf(format, args...)}
}

// CursorParam is the parameter for the end of the previous page.
func CursorParam(cursor *string) Param { return Param{Name: "cursor", Value: cursor} }

// ReadParams reads q into params and limit. An unknown parameter is an error: a
// misspelt filter would otherwise show all rows.
func ReadParams(q url.Values, params []Param, limit *int) error {
	allowed := []string{}
	for _, p := range params {
		allowed = append(allowed, p.Name)
	}
	slices.Sort(allowed)
	var value string
	var err error
	for _, name := range slices.Sorted(maps.Keys(q)) {
		i := slices.IndexFunc(params, func(p Param) bool { return p.Name == name })
		if i < 0 && name != "limit" {
			return Refuse(name, "is not a parameter of this list; allowed are limit, %s", strings.Join(allowed, ", "))
		}
		if i >= 0 {
			*params[i].Value, err = params[i].read(q[name])
		} else if value, err = single(name, q[name], MaxParam); err == nil {
			*limit, err = parseLimit(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxValues is the most values of a parameter that may be given several times.
const maxValues = 100

// read makes the value of those in a query.
func (p Param) read(values []string) (string, error) {
	most := MaxParam
	if p.Kind != nil && p.Kind.Max > 0 {
		most = p.Kind.Max
	}
	if !p.Multi {
		return single(p.Name, values, most)
	}
	var all []string
	for _, v := range values {
		for _, line := range Lines(v) {
			line, err := single(p.Name, []string{line}, most)
			if err != nil {
				return "", err
			}
			if !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	if len(all) > maxValues {
		return "", Refuse(p.Name, "has %d values, at most %d are allowed", len(all), maxValues)
	}
	return strings.Join(all, "\n"), nil
}

// Lines are the values in the Value of a Param with Multi.
func Lines(value string) (values []string) {
	for line := range strings.SplitSeq(value, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	return values
}

// Given are p's values: one, or several if it has Multi.
func (p Param) Given() []string {
	if p.Multi {
		return Lines(*p.Value)
	}
	if *p.Value == "" {
		return nil
	}
	return []string{*p.Value}
}

// CheckParams sets the defaults and checks the values.
func CheckParams(params []Param) error {
	for _, p := range params {
		*p.Value = cmp.Or(*p.Value, p.Default)
		for _, value := range p.Given() {
			if err := p.Check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Check checks a value.
func (p Param) Check(value string) error {
	switch {
	case !Storable(value):
		return Refuse(p.Name, "holds characters that are none")
	case p.Choices != nil:
		return OneOf(p.Name, value, p.Values()...)
	case p.Kind != nil && p.Kind.Check != nil:
		return p.Kind.Check(p.Name, value)
	}
	return nil
}

// Values are the allowed values; none: any of the kind.
func (p Param) Values() (values []string) {
	for _, c := range p.Choices {
		if c.Value != "" {
			values = append(values, c.Value)
		}
	}
	return values
}

// ParamValues is the query for params and limit, without those at their defaults.
func ParamValues(params []Param, limit int) url.Values {
	q := url.Values{}
	for _, p := range params {
		if given := p.Given(); len(given) > 0 && *p.Value != p.Default {
			q[p.Name] = given
		}
	}
	if limit != 0 && limit != DefaultLimit {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// Given tells whether any of params has a value.
func Given(params []Param) bool {
	return slices.ContainsFunc(params, func(p Param) bool { return *p.Value != "" })
}

// single is a parameter's only value, trimmed.
func single(name string, values []string, most int) (string, error) {
	if len(values) != 1 {
		return "", Refuse(name, "is given %d times, once is allowed", len(values))
	}
	value := strings.TrimSpace(values[0])
	if len(value) > most {
		return "", Refuse(name, "is %d bytes long, at most %d are allowed", len(value), most)
	}
	if !Storable(value) {
		return "", Refuse(name, "holds characters that are none; send UTF-8 without NUL")
	}
	return value, nil
}

func parseLimit(value string) (int, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, Refuse("limit", "%q is not allowed; give a number from 1 to %d", value, MaxLimit)
	}
	return n, nil
}

func OneOf(name, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return Refuse(name, "%q is not known; allowed are %s", value, strings.Join(allowed, ", "))
}

func checkSearch(name, value string) error {
	if n := utf8.RuneCountInString(value); n > maxQuery {
		return Refuse(name, "is %d characters long, at most %d are allowed", n, maxQuery)
	}
	return nil
}

// Storable tells whether Postgres can store s as text. If not, s cannot be the name
// of a stored row either.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func UTC(t *time.Time) *time.Time {
	if t != nil {
		*t = t.UTC()
	}
	return t
}
