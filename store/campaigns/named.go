package campaigns

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// named are the ids of what a campaign names, by the field and by what they are of.
func (c *Campaign) named() map[[2]string][]string {
	all := map[[2]string][]string{
		{"trigger", "course"}:  c.Trigger.Courses,
		{"trigger", "product"}: {c.Trigger.Product},
	}
	if c.Goal != nil {
		all[[2]string{"goal", "product"}] = []string{c.Goal.Product}
	}
	return all
}

// there is SQL for whether a store has what is named by n.id. A course may be known by who enrolled in it only.
var there = map[string]string{
	"course": `SELECT FROM products p WHERE p.store_id = $1 AND p.id = n.id
		UNION ALL
		SELECT FROM enrollments e WHERE e.store_id = $1 AND e.course_id = n.id`,
	"product": `SELECT FROM products p WHERE p.store_id = $1 AND p.id = n.id`,
}

// checkNamed refuses courses, products, tags and segments that the store does not have. What was named before may be
// gone since.
func (c *Campaign) checkNamed(ctx context.Context, tx pgx.Tx, old Campaign) error {
	before := old.named()
	for what, ids := range c.named() {
		added := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
			return id == "" || slices.Contains(before[what], id)
		})
		missing, err := pg.Column[string](ctx, tx, `
			SELECT n.id
			FROM unnest($2::text[]) n(id)
			WHERE NOT EXISTS (`+there[what[1]]+`)`, c.store, added)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return pg.Refuse(what[0], "names the %s %q, which the store does not have", what[1], missing[0])
		}
	}
	if rule, err := customers.ParseRule(c.rule()); err == nil && c.rule() != old.rule() {
		return rule.CheckNamed(ctx, tx, c.store, "audience")
	}
	return nil
}
