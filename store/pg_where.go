package store

import (
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

// addMoment adds a comparison with a moment unless that is empty.
func (c *conditions) addMoment(comparison, moment string) {
	if text, cast, ok := parseMoment(moment); ok {
		c.add(comparison+cast, text)
	}
}
