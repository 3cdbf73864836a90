package customers

import (
	"encoding/json"
	"strings"
	"time"

	"rollcall/internal/moment"
	"rollcall/store/pg"
)

// path is a leaf in jsonpath, empty if that cannot say all of it. It takes a fifth of the
// time, and unlike a subquery it can be asked by several of Postgres' processes. Limits come
// first: they reject more than whether a course is completed, and cost less.
func (t *Thing) path(r Rule) string {
	var all, last []string
	for _, p := range t.Parts {
		switch {
		case len(r.Parts[p.Name]) == 0 || p.SQL == "": // times_min and times_max have none
		case p.Path == "":
			return ""
		case p.yesOrNo() && r.Parts[p.Name][0] == "no":
			last = append(last, "!"+p.Path)
		case p.yesOrNo():
			last = append(last, p.Path)
		default:
			all = append(all, p.Path)
		}
	}
	if all = append(all, last...); len(all) == 0 {
		return ""
	}
	return "$[*] ? (" + strings.Join(all, " && ") + ")"
}

// vars are the values of a leaf's parts for jsonpath, which reads numbers from texts slowly.
// Derived times are in UTC to the second, so they compare as texts, with a limit rounded up.
func (k compiler) vars(t *Thing, r Rule) string {
	values := map[string]any{}
	for name, given := range r.Parts {
		switch p := t.part(name); {
		case p.Kind == pg.Moment:
			at, _ := moment.At(given[0], k.now)
			values[name] = at.Add(time.Second - 1).Truncate(time.Second).UTC().Format(time.RFC3339)
		case p.Number:
			values[name] = r.number(name)
		default:
			values[name] = given
		}
	}
	text, _ := json.Marshal(values) // texts always have JSON
	return string(text)
}
