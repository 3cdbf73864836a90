package customers

import (
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
