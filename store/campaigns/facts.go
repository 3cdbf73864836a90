package campaigns

import "slices"

// What Facts are about, and occurrences.
const (
	aCourse       = "course"
	aSubscription = "sub"
	anInvoice     = "invoice"
	aCheckout     = "checkout"
	aSilence      = "seen" // since that day
)

// Fact is something that goals and the conditions of steps ask of a run. It is bound to what the run is about: that
// course, that invoice.
type Fact struct {
	Name    string
	Label   string   // follows "the customer": starts the course. {number} and {product} stand for its own
	About   []string // kinds of occurrences that it can be asked of; none: all
	Number  bool     // it has one, in percent
	Product bool     // it is about one
	sql     string   // true or not, of a run r and its customer c; see asked
}

// since is when what a run is about happened: its question became true later, as its numbers say.
const since = "(r.became_due_at - @age)"

// Facts are all of them.
var Facts = []Fact{
	{
		Name: "started", Label: "starts the course", About: []string{aCourse},
		sql: `EXISTS (SELECT FROM enrollments e WHERE e.customer_id = c.id AND e.course_id = r.about
			AND (e.peak_progress > 0 OR e.completed_at IS NOT NULL))`,
	},
	{
		Name: "progressed", Label: "gets further in the course", About: []string{aCourse},
		sql: `EXISTS (SELECT FROM enrollments e WHERE e.customer_id = c.id AND e.course_id = r.about
			AND (e.progressed_at > ` + since + ` OR e.completed_at IS NOT NULL OR e.progress >= 100))`,
	},
	{
		Name: "progress", Label: "reaches {number}% of the course", About: []string{aCourse}, Number: true,
		sql: `EXISTS (SELECT FROM enrollments e WHERE e.customer_id = c.id AND e.course_id = r.about
			AND (e.peak_progress >= @number OR e.completed_at IS NOT NULL))`,
	},
	{
		Name: "completed", Label: "completes the course", About: []string{aCourse},
		sql: `EXISTS (SELECT FROM enrollments e WHERE e.customer_id = c.id AND e.course_id = r.about
			AND (e.completed_at IS NOT NULL OR e.progress >= 100))`,
	},
	{
		Name: "has", Label: "has {product}", Product: true,
		sql: `@product = ANY(c.product_ids || c.course_ids)`,
	},
	{
		Name: "paid", Label: "pays the invoice", About: []string{anInvoice},
		sql: `(EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id AND p.id = r.about AND p.paid)
			OR EXISTS (SELECT FROM failed_invoices f JOIN subscriptions s ON s.account = f.account AND s.id = f.subscription
				WHERE f.id = r.about AND s.customer_id = c.id AND s.status IN ('active', 'trialing')))`,
	},
	{
		Name: "subscribed", Label: "subscribes again or buys something", About: []string{aSubscription},
		sql: `(EXISTS (SELECT FROM subscriptions s WHERE s.customer_id = c.id AND s.ended_at IS NULL
				AND s.status IN ('active', 'trialing', 'past_due'))
			OR EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id AND p.paid AND p.amount > 0
				AND p.paid_at > ` + since + `))`,
	},
	{
		Name: "bought", Label: "buys something",
		sql: `EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id AND p.paid AND p.amount > 0
			AND p.paid_at > ` + since + `)`,
	},
	{
		Name: "paying", Label: "becomes a paying customer",
		sql: `c.type <> 'lead'`,
	},
	{
		Name: "back", Label: "signs in, learns or buys",
		sql: `coalesce(c.last_activity_at > ` + since + `, false)`,
	},
	{
		Name: "bought_it", Label: "buys it", About: []string{aCheckout},
		sql: `EXISTS (SELECT FROM checkouts k WHERE k.id = r.about AND (
			EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id AND p.paid AND p.paid_at >= k.started_at
				AND (k.product_ref IS NULL OR p.product_id = k.product_ref
					OR p.sold @> jsonb_build_array(jsonb_build_object('id', k.product_ref))))
			OR EXISTS (SELECT FROM subscriptions s WHERE s.customer_id = c.id AND s.started_at >= k.started_at
				AND (k.product_ref IS NULL OR s.product_id = k.product_ref))))`,
	},
}

// FactNamed is the fact with a name; nil: there is none.
func FactNamed(name string) *Fact {
	i := slices.IndexFunc(Facts, func(f Fact) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &Facts[i]
}

// FactsOf are the facts that can be asked of the runs of a question.
func FactsOf(q *Question) (all []Fact) {
	for _, f := range Facts {
		if len(f.About) == 0 || slices.Contains(f.About, q.About) {
			all = append(all, f)
		}
	}
	return all
}
