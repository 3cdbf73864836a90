package customers

import (
	"fmt"
	"strconv"
	"strings"

	"rollcall/store/mail"
)

// manyOf are the conditions that as many rows of from, which has those of all, meet where: those of the
// store are counted at once, as they are many for each customer.
func (k compiler) manyOf(from string, where []cond, least, most int) (conds []cond) {
	within := and(append([]cond{{sql: "r.store_id = $?", args: []any{k.store}}}, where...))
	with := func(how string, n int) cond {
		return cond{sql: "c.email IN (SELECT r.email FROM " + from + " WHERE " + within.sql +
			" GROUP BY r.email HAVING count(*) " + how + strconv.Itoa(n) + ")", args: within.args}
	}
	if least > 0 {
		conds = append(conds, with(">= ", least))
	}
	if most >= 0 {
		conds = append(conds, not(with("> ", most)))
	}
	return conds
}

// canMail is the condition that marketing mail may go to a customer, or may not.
func (k compiler) canMail(yes bool) cond {
	c := cond{sql: mail.CanMail("$?::text", ""), each: mail.CanMail("$?::text", "OFFSET 0")}
	for range strings.Count(c.sql, "$?") {
		c.args = append(c.args, k.store)
	}
	if !yes {
		c = not(c)
	}
	return c
}

// mailTexts say what became of a mail, of one and of several.
var mailTexts = map[string][2]string{
	"sent": {"been sent a mail", "been sent %s mails"}, "clicked": {"clicked in a mail", "clicked %s times in mails"},
	"came_back":    {"come back within 7 days of a mail", "come back %s times within 7 days of mails"},
	"bounced":      {"had a mail bounce", "had mails bounce %s times"},
	"complained":   {"called a mail spam", "called mails spam %s times"},
	"unsubscribed": {"unsubscribed by a mail", "unsubscribed by mails %s times"},
}

// mailClause is the clause of a leaf about mail.
func (t *Thing) mailClause(r Rule, labels Labels) string {
	least, most := r.times()
	many := labels.times(least, most)
	if most == 0 {
		many = ""
	}
	was := r.Parts["was"]
	for _, c := range mailed {
		if r.Parts["was"] == nil {
			was = append(was, c.Value)
		}
	}
	var what []string
	for _, w := range was {
		if text := mailTexts[w]; many == "" {
			what = append(what, text[0])
		} else {
			what = append(what, fmt.Sprintf(text[1], many))
		}
	}
	said := "have " + list(what, "or") + before(" of the campaign ", t.part("campaign").named(r.Parts["campaign"], labels))
	for _, name := range []string{"after", "before"} {
		if v := r.Parts[name]; v != nil {
			said += " " + labels.moment(v[0], name == "after")
		}
	}
	if most == 0 {
		said = negated(said)
	}
	return said
}
