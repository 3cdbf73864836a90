package store

import (
	"cmp"
	"strconv"
	"strings"
)

// arguments are those of a statement.
type arguments []any

// add adds an argument and returns its placeholder.
func (a *arguments) add(arg any) string {
	*a = append(*a, arg)
	return "$" + strconv.Itoa(len(*a))
}

// conditions are what a row must meet. Several of one statement share its
// arguments.
type conditions struct {
	sql  []string
	args *arguments
}

// add adds a condition in which each $? stands for arg.
func (c *conditions) add(condition string, arg any) {
	c.sql = append(c.sql, strings.ReplaceAll(condition, "$?", c.arg(arg)))
}

// arg adds an argument and returns its placeholder.
func (c *conditions) arg(arg any) string { return c.args.add(arg) }

// addIf adds a condition unless value is empty.
func (c *conditions) addIf(condition, value string) {
	if value != "" {
		c.add(condition, value)
	}
}

func (c *conditions) String() string {
	if len(c.sql) == 0 {
		return "true"
	}
	return strings.Join(c.sql, "\n\t\t  AND ")
}

// addParams adds the conditions of those params that are given and whose On
// begins with on.
func (c *conditions) addParams(on string, params []Param) {
	for _, p := range params {
		if *p.Value == "" || p.SQL == "" || !strings.HasPrefix(p.On, on) {
			continue
		}
		sql, arg := p.SQL, *cmp.Or(p.Arg, p.Value)
		if p.Kind != nil && p.Kind.sql != nil {
			text, made, _ := p.Kind.sql(arg)
			sql, arg = strings.ReplaceAll(sql, "$?", made), text
		}
		c.add(sql, arg)
	}
}
