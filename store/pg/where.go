package pg

import (
	"regexp"
	"strconv"
	"strings"
)

// Arguments are the arguments of a statement.
type Arguments []any

// Add adds an argument and returns its placeholder.
func (a *Arguments) Add(arg any) string {
	*a = append(*a, arg)
	return "$" + strconv.Itoa(len(*a))
}

// Only returns sql and those of the arguments that it names, numbered anew: Postgres knows no type of others.
func (a Arguments) Only(sql string) (string, Arguments) {
	var only Arguments
	places := map[string]string{}
	sql = placeholder.ReplaceAllStringFunc(sql, func(name string) string {
		if n, _ := strconv.Atoi(name[1:]); places[name] == "" {
			places[name] = only.Add(a[n-1])
		}
		return places[name]
	})
	return sql, only
}

var placeholder = regexp.MustCompile(`\$[0-9]+`)

// Fill adds args, and returns sql in which each $? is the placeholder of the next.
func (a *Arguments) Fill(sql string, args []any) string {
	var filled strings.Builder
	for _, arg := range args {
		before, after, _ := strings.Cut(sql, "$?")
		filled.WriteString(before + a.Add(arg))
		sql = after
	}
	return filled.String() + sql
}

// Conditions are the conditions of a WHERE clause. Several of a statement share Args.
type Conditions struct {
	SQL  []string
	Args *Arguments
}

// Add adds a condition in which each $? stands for arg.
func (c *Conditions) Add(condition string, arg any) {
	c.SQL = append(c.SQL, strings.ReplaceAll(condition, "$?", c.Arg(arg)))
}

// AddAll adds a condition in which each $? stands for the next of args.
func (c *Conditions) AddAll(condition string, args []any) {
	c.SQL = append(c.SQL, c.Args.Fill(condition, args))
}

// Arg adds an argument and returns its placeholder.
func (c *Conditions) Arg(arg any) string { return c.Args.Add(arg) }

// AddIf adds a condition unless value is empty.
func (c *Conditions) AddIf(condition, value string) {
	if value != "" {
		c.Add(condition, value)
	}
}

func (c *Conditions) String() string {
	if len(c.SQL) == 0 {
		return "true"
	}
	return strings.Join(c.SQL, "\n\t\t  AND ")
}

// AddParams adds the conditions of those params that are given.
func (c *Conditions) AddParams(params []Param) {
	for _, p := range params {
		if *p.Value == "" || p.SQL == "" {
			continue
		}
		sql, arg := p.SQL, *p.Value
		if p.Kind != nil && p.Kind.BuildSQL != nil {
			text, made, _ := p.Kind.BuildSQL(arg)
			sql, arg = strings.ReplaceAll(sql, "$?", made), text
		}
		c.Add(sql, arg)
	}
}
