package campaigns

import (
	"cmp"
	"context"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

// asking writes the SQL of one campaign as of a moment. Runs go by r there, and their customers by c.
type asking struct {
	c     *Campaign
	q     *Question
	now   time.Time
	after time.Time // what became due then or before does not enter
	fresh time.Time // nor what did then or before, but for those who were meant at the start
	zone  string    // of the store
	args  *pg.Arguments
	known map[string]string // placeholders by name

	among condition // on who is asked about
}

// ask prepares the SQL of a campaign as of now.
func ask(c *Campaign, now time.Time, zone string, args *pg.Arguments) *asking {
	return &asking{c: c, q: QuestionNamed(c.Trigger.Question), now: now, after: c.windowFrom(now),
		fresh: now.Add(-time.Duration(c.NotAfter)), zone: zone, args: args, known: map[string]string{},
		among: sample{each: 1}.among(args)}
}

// windowFrom is the time behind which a question must have become true to make someone enter. What became due before
// the start counts until all who were meant then have entered; later what is too late does not.
func (c *Campaign) windowFrom(now time.Time) time.Time {
	from := now.Add(-time.Duration(c.NotAfter))
	if c.StartsFrom != nil && (c.EnteredAt == nil || c.StartsFrom.After(from)) {
		return *c.StartsFrom
	}
	return from
}

// value is what a name stands for.
func (a *asking) value(name string, t *Test) any {
	switch name {
	case "store":
		return a.c.store
	case "campaign":
		return a.c.ID
	case "now":
		return a.now
	case "after":
		return a.after
	case "fresh":
		return a.fresh
	case "begun":
		return a.c.SwitchedAt
	case "start":
		return a.c.StartsFrom
	case "late":
		return time.Duration(a.c.NotAfter)
	case "zone":
		return a.zone
	case "courses":
		return a.c.Trigger.Courses
	case "age":
		return a.age()
	case "product":
		return t.Product
	case "number":
		return t.Number
	}
	return a.c.Trigger.Numbers[name]
}

// age is how long after what is asked for the question becomes true.
func (a *asking) age() time.Duration {
	for _, n := range a.q.Numbers {
		switch n.Unit {
		case "days":
			return time.Duration(a.c.Trigger.Numbers[n.Name]) * day
		case "hours":
			return time.Duration(a.c.Trigger.Numbers[n.Name]) * time.Hour
		}
	}
	return 0
}

var names = regexp.MustCompile(`@[a-z]+`)

// types are those of the names; others are whole numbers.
var types = map[string]string{"store": "text", "campaign": "text", "zone": "text", "product": "text",
	"courses": "text[]",
	"now":     "timestamptz", "after": "timestamptz", "start": "timestamptz", "fresh": "timestamptz",
	"begun": "timestamptz", "late": "interval", "age": "interval"}

// fill replaces the names in SQL by placeholders. Those of a test are its own.
func (a *asking) fill(sql string, t *Test) string {
	return names.ReplaceAllStringFunc(sql, func(name string) string {
		name = name[1:]
		own := t != nil && (name == "product" || name == "number")
		if !own && a.known[name] != "" {
			return a.known[name]
		}
		typed := a.args.Add(a.value(name, t)) + "::" + cmp.Or(types[name], "integer")
		if !own {
			a.known[name] = typed
		}
		return typed
	})
}

// test is SQL for whether something is true of a run.
func (a *asking) test(t *Test) string {
	if t == nil {
		return "true"
	}
	sql := "(" + a.fill(FactNamed(t.Fact).sql, t) + ")"
	if t.Not {
		return "(" + sql + " IS NOT TRUE)"
	}
	return sql
}

// verdict is SQL for why a run ends now, or NULL.
func (a *asking) verdict() string {
	sql := "CASE WHEN c.id IS NULL THEN 'gone'"
	if a.c.Goal != nil {
		sql += " WHEN " + a.test(a.c.Goal) + " THEN 'goal'"
	}
	if a.q.over != "" {
		return sql + " ELSE " + a.fill(a.q.over, nil) + " END"
	}
	return sql + " END"
}

// goesOn is a condition that nothing ends a run at once. Postgres knows how many customers meet it, as it does not of a
// verdict.
func (a *asking) goesOn() (sql string) {
	if a.c.Goal != nil {
		sql += ` AND ` + a.test(a.c.Goal) + ` IS NOT TRUE`
	}
	if a.q.over != "" {
		sql += ` AND ` + a.fill(a.q.over, nil) + ` IS NULL`
	}
	return sql
}

// asked is SQL for what the question finds, r, and whose customer c it is.
func (a *asking) asked() string {
	sql := `(` + a.fill(a.q.sql, nil) + `) r`
	if a.q.each { // so addresses are read in their order, and from their index only
		return `(SELECT * FROM customers WHERE store_id = ` + a.fill("@store", nil) + `) c CROSS JOIN LATERAL ` + sql
	}
	return sql + ` JOIN customers c ON c.id = r.customer`
}

// step is SQL for the key of the next step of a run; empty: all are done. If a change of the campaign took the step
// away, it is the one behind all that are done, and what is done does not come again.
func (a *asking) step() string {
	keys := []string{}
	for _, st := range a.c.Steps {
		keys = append(keys, st.Key)
	}
	all := a.args.Add(keys) + "::text[]"
	return `CASE WHEN r.step = ANY(` + all + ` || '{""}') AND NOT r.done ? r.step THEN r.step ELSE coalesce((` +
		all + `)[1 +
			coalesce((SELECT max(k.nth) FROM unnest(` + all + `) WITH ORDINALITY k(key, nth) WHERE r.done ? k.key), 0)], '')
		END`
}

// reach is SQL for the mail that a run gets at once when it comes to a step, or NULL: steps that do not wait are done
// one after the other.
func (a *asking) reach(from int) string {
	st, then := a.c.Steps[from], "NULL"
	if from+1 < len(a.c.Steps) && a.c.Steps[from+1].Wait == 0 {
		then = a.reach(from + 1)
	}
	if st.Do != DoMail {
		return then
	}
	key := a.args.Add(st.Key) + "::text"
	if st.If == nil {
		return key
	}
	return "CASE WHEN " + a.test(st.If) + " THEN " + key + " ELSE " + then + " END"
}

// reaches is SQL for the mail that a run gets at once whose next step has a key.
func (a *asking) reaches(key string) string {
	sql := "CASE " + key
	for i, st := range a.c.Steps {
		sql += " WHEN " + a.args.Add(st.Key) + "::text THEN " + a.reach(i)
	}
	return sql + " END"
}

// conditions is SQL for an array with the condition of each step.
func (a *asking) conditions() string {
	sql := "ARRAY["
	for i, st := range a.c.Steps {
		if i > 0 {
			sql += ", "
		}
		sql += a.test(st.If)
	}
	return sql + "]::boolean[]"
}

// arm is SQL for which of its texts a customer gets: always the same one, in any order of evaluation.
func (a *asking) arm() string {
	share := func(salt string) string {
		return `(hashtextextended(` + a.fill("@campaign", nil) + ` || '` + salt + `' || c.email, 0) & 2147483647) % 100`
	}
	texts := "'a'"
	for _, st := range a.c.Steps {
		if st.B != nil {
			texts = `CASE WHEN ` + share(" b ") + ` < 50 THEN 'b' ELSE 'a' END`
		}
	}
	if a.c.Holdout == 0 {
		return texts
	}
	return `CASE WHEN ` + share(" held ") + ` < ` + strconv.Itoa(a.c.Holdout) + ` THEN 'held' ELSE ` + texts + ` END`
}

// again is SQL for whether a customer may enter who has been in the campaign before.
func (a *asking) again() string {
	campaign := a.fill("@campaign", nil)
	had := func(which string) string {
		return `NOT EXISTS (SELECT FROM runs o WHERE o.campaign_id = ` + campaign + ` AND o.email = c.email` + which + `)`
	}
	switch a.c.Reentry {
	case Never:
		return had("")
	case After:
		return had(` AND o.occurrence = r.occurrence`) + ` AND ` + had(
			` AND abs(extract(epoch FROM o.became_due_at - r.became_due_at)) < 86400 * `+strconv.Itoa(a.c.ReentryDays))
	}
	return had(` AND o.occurrence = r.occurrence`)
}

// elsewhere is SQL for whether another campaign of the same recipe mailed a customer for the same occurrence.
func (a *asking) elsewhere(ctx context.Context, db pg.Querier) (string, error) {
	k, err := kinOf(ctx, db, a.c.store, a.c.ID)
	if err != nil || !k.has(a.c.Recipe) {
		return "false", err
	}
	return k.in(a.args).mailed(a.fill("@store", nil), "c.email", a.fill("@campaign", nil), "r.occurrence"), nil
}

// entering is SQL for who enters now: customer, email, occurrence, about, became_due_at and arm, by address.
func (s *Campaigns) entering(ctx context.Context, db pg.Querier, a *asking) (string, error) {
	audience, err := s.audience(ctx, db, a)
	if err != nil {
		return "", err
	}
	elsewhere, err := a.elsewhere(ctx, db)
	if err != nil {
		return "", err
	}
	one := "c.email"
	if a.c.Reentry == Each {
		one += ", r.occurrence"
	}
	return `
	SELECT DISTINCT ON (` + one + `)
		c.id AS customer,
		c.email,
		r.occurrence,
		r.about,
		r.became_due_at,
		` + a.arm() + ` AS arm,
		` + a.reach(0) + ` AS mail,
		` + a.conditions() + ` AS met
	FROM ` + a.asked() + `
	WHERE ` + store.NotAnonymous("c.email") + `
	  AND c.email <> ALL (` + ownPeople(a) + `)` + audience + a.among("c.email") + `
	  AND (r.became_due_at > ` + a.fill("@fresh", nil) + ` OR r.became_due_at <= ` + a.fill("@begun", nil) + `)
	  AND ` + a.again() + ` AND NOT ` + elsewhere + a.goesOn() + `
	ORDER BY ` + one + `, r.became_due_at, r.occurrence`, nil
}

// ownPeople is SQL for the addresses of the store's own people, whom no campaign is for.
func ownPeople(a *asking) string {
	return `ARRAY(
		SELECT u.email
		FROM stores s
		JOIN users u ON u.id = s.owner_user_id OR u.id = ANY(s.member_user_ids)
		WHERE s.id = ` + a.fill("@store", nil) + ` AND u.email IS NOT NULL
	  )`
}

// audience is the condition that a customer is among those whom the campaign is for.
func (s *Campaigns) audience(ctx context.Context, db pg.Querier, a *asking) (string, error) {
	if a.c.rule() == "" {
		return "", nil
	}
	members, err := s.readers.At(a.now).Audience(ctx, db, customers.Filter{Store: a.c.store, Rule: a.c.rule()}, a.args)
	return `
	  AND c.id IN (SELECT id FROM (` + members + `) a)`, err
}

// planned has a statement planned for its arguments.
func planned(args pg.Arguments) []any { return append([]any{pgx.QueryExecModeCacheDescribe}, args...) }

// zone is the time zone of a store's days: the one set on its pages, else the platform's word, else UTC.
func zone(ctx context.Context, db pg.Querier, storeID string) (name string, err error) {
	err = db.QueryRow(ctx, `SELECT `+store.ZoneOf("$1"), storeID).Scan(&name)
	return mail.Zone(name).String(), err
}
