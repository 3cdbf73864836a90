package customers

import (
	"maps"
	"strings"

	"rollcall/internal/moment"
)

// kept are leaves about a customer's courses, whichever they are, that a column of the
// customer answers: those with just these values and, if the column is a time, a limit to before.
var kept = []struct {
	values         map[string]string
	before, column string
}{
	{map[string]string{"completed": "yes"}, "", "c.finished"},
	{map[string]string{"completed": "no"}, "progressed_before", "c.stalled_since"},
	{map[string]string{"completed": "no", "progress_max": "0"}, "enrolled_before", "c.unstarted_since"},
}

// kept is the condition that a course meets r, by a column if one answers it. Where that
// is NULL, as the customer is not derived yet by the rules that know of it, the courses are asked.
func (k compiler) kept(r Rule, asked cond) cond {
	parts := maps.Clone(r.Parts)
	maps.DeleteFunc(parts, func(part string, _ []string) bool { return strings.HasPrefix(part, "times_") })
	for _, by := range kept {
		values, answer := maps.Clone(by.values), cond{sql: by.column}
		if limit := parts[by.before]; limit != nil {
			at, _ := moment.At(limit[0], k.now)
			values[by.before], answer = limit[0], cond{sql: by.column + " < $?", args: []any{at}}
		}
		same := func(given []string, value string) bool { return given[0] == value }
		if maps.EqualFunc(parts, values, same) && (by.before == "" || len(answer.args) > 0) {
			unknown := cond{sql: by.column + " IS NULL"}
			return join([]cond{answer, and([]cond{unknown, asked})}, " OR ", "false")
		}
	}
	return asked
}
