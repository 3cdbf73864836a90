package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"rollcall/facts"
)

// YearStore is the id of the store of Year.
const YearStore = "store_harbour"

// What the store of the year sells. Amounts are cents.
var yearProducts = []facts.Product{
	{ID: "harbour_chords", Kind: "course", Title: "First Chords"},
	{ID: "harbour_fingerstyle", Kind: "course", Title: "Fingerstyle in 30 Days"},
	{ID: "harbour_improvise", Kind: "course", Title: "Improvise on Two Strings"},
	{ID: "harbour_tabs", Kind: "digital", Title: "Tab Pack"},
	{ID: "harbour_club", Kind: "membership", Title: "Harbour Club"},
}

var yearPrices = map[string]int64{"harbour_fingerstyle": 7900, "harbour_improvise": 12900, "harbour_tabs": 1900,
	"harbour_club": 1900}

// year draws what happened at a store in a year.
type year struct {
	*rand.Rand
	until time.Time
	set   facts.Set
}

// Year is more than a year of a fifth store before a moment: some hundred people who take a free course, buy once or
// again, subscribe and leave. It is for charts, which need more than some weeks. It is always the same, counted back
// from the moment.
func Year(until time.Time) facts.Set {
	y := &year{Rand: rand.New(rand.NewPCG(3, 5)), until: until.UTC().Truncate(time.Second)}
	opened := y.until.AddDate(0, 0, -420)
	y.set.Stores = []facts.Store{{ID: YearStore, Name: "Harbour Guitar School", TimeZone: "America/New_York",
		Version: versionAt(opened)}}
	for _, p := range yearProducts {
		p.StoreRef, p.Version = YearStore, versionAt(opened)
		if price, sold := yearPrices[p.ID]; sold {
			p.PriceAmount, p.PriceCurrency = &price, "usd"
		}
		y.set.Products = append(y.set.Products, p)
	}
	for i := range 480 {
		came := opened.Add(time.Duration(math.Sqrt(y.Float64())*419*24*60) * time.Minute) // more and more
		y.person(i, came)
	}
	return y.set
}

func versionAt(at time.Time) facts.Version {
	return facts.Version(at.UTC().Format("2006-01-02T15:04:05.000000Z") + " 20 harbour")
}

var (
	yearGiven  = []string{"Ada", "Bram", "Carla", "Dinh", "Ewa", "Farid", "Greta", "Hugo", "Ines", "Jomo", "Kaia", "Luis"}
	yearFamily = []string{"Abbott", "Bianchi", "Castro", "Dahl", "Engel", "Fofanah", "Grant", "Hill", "Ito", "Jansen",
		"Kovač", "Larsen", "Moreau"}
)

// person comes, and takes a free course, buys, or subscribes.
func (y *year) person(i int, came time.Time) {
	name := yearGiven[y.IntN(len(yearGiven))] + " " + yearFamily[y.IntN(len(yearFamily))]
	email := fmt.Sprintf("harbour%d@example.com", i)
	who := facts.Context{StoreRef: YearStore, Email: email, Name: name}
	switch {
	case i%4 == 0:
		y.enroll(who, "harbour_chords", came)
	case i%6 == 1:
		y.subscribe(i, who, came)
	}
	if i%4 != 0 {
		y.buy(i, who, came)
	}
}

// buy has a person buy at a rate of their own, for about what they are used to spend, until they have had enough.
func (y *year) buy(i int, who facts.Context, at time.Time) {
	every, leaves := 60/y.ExpFloat64(), 1-math.Cbrt(y.Float64())
	spends := 10 + 30*(y.ExpFloat64()+y.ExpFloat64()) // dollars
	for n := 0; at.Before(y.until) && n < 9; n++ {
		product := []string{"harbour_fingerstyle", "harbour_tabs", "harbour_improvise"}[y.IntN(3)]
		amount := 100 * int64(5+spends*(y.ExpFloat64()+y.ExpFloat64()+y.ExpFloat64())/3)
		y.pay(fmt.Sprintf("pi_harbour_%d_%d", i, n), who, product, "", amount, at)
		if y.IntN(25) == 0 {
			y.refund(fmt.Sprintf("pi_harbour_%d_%d", i, n), amount, at.AddDate(0, 0, 3))
		}
		if product != "harbour_tabs" {
			y.enroll(who, product, at)
		}
		if y.Float64() < leaves {
			return
		}
		at = at.Add(time.Duration(24*60*min(every*y.ExpFloat64(), 900)) * time.Minute)
	}
}

func (y *year) pay(id string, who facts.Context, product, subscription string, amount int64, at time.Time) {
	who.ProductRef = product
	y.set.Payments = append(y.set.Payments, facts.Payment{ID: id, ClaimVersion: "4 " + versionAt(at), Kind: "checkout",
		Paid: true, Amount: &amount, Currency: "usd", PaidAt: &at, Subscription: subscription, Context: who})
}

func (y *year) refund(payment string, amount int64, at time.Time) {
	if at.Before(y.until) {
		y.set.Refunds = append(y.set.Refunds, facts.Refund{ID: "re" + payment[2:], PaymentIntent: payment, Amount: amount,
			Currency: "usd", Status: "succeeded", CreatedAt: &at, SaidAt: at, Version: versionAt(at)})
	}
}

// enroll has a person begin a course, and get as far in it as they do.
func (y *year) enroll(who facts.Context, course string, at time.Time) {
	e := facts.Enrollment{CourseID: course, Person: "email:" + who.Email, StoreRef: YearStore, StoreVersion: versionAt(at),
		Name: who.Name, NameVersion: versionAt(at), EnrolledAt: &at, EnrolledVersion: versionAt(at), FirstSaidAt: &at,
		SaidAt: &at, Version: versionAt(at)}
	later := at.Add(time.Duration(y.IntN(60*24)) * time.Hour)
	if progress := math.Floor(min(100, 140*y.Float64())); progress > 15 && later.Before(y.until) {
		e.Progress, e.PeakProgress, e.ProgressVersion = &progress, &progress, versionAt(later)
		e.ProgressedAt, e.SaidAt, e.Version = &later, &later, versionAt(later)
		if progress == 100 {
			e.CompletedAt, e.CompletedVersion = &later, versionAt(later)
		}
	}
	y.set.Enrollments = append(y.set.Enrollments, e)
}

// subscribe has a person subscribe, by the month or the year, some pay another price later, and some leave.
func (y *year) subscribe(i int, who facts.Context, from time.Time) {
	id, price, months := fmt.Sprint("sub_harbour_", i), yearPrices["harbour_club"], 1
	seen := y.until.Add(-time.Duration(y.IntN(40*24)) * time.Hour)
	y.set.Users = append(y.set.Users, facts.User{ID: fmt.Sprint("user_harbour_", i), Email: who.Email, Name: who.Name,
		LastSeenAt: &seen, Version: versionAt(from)})
	interval := "month"
	if i%5 == 0 {
		price, months, interval = 10*price, 12, "year"
	}
	life := time.Duration(24*260*y.ExpFloat64()) * time.Hour
	say := func(status string, price int64, at time.Time) {
		if at.Before(y.until) {
			of := who
			of.ProductRef = "harbour_club"
			of.Lines = []facts.Line{{Ref: "harbour_club", Amount: &price, Quantity: 1, Interval: interval, IntervalCount: 1}}
			y.set.Subscriptions = append(y.set.Subscriptions, facts.Subscription{ID: id, Status: status, Currency: "usd",
				Amount: &price, PlanName: "Harbour Club", StartedAt: &from, EverActive: true, Version: versionAt(at), Context: of})
		}
	}
	say("active", price, from)
	raised := from.AddDate(0, 4, 0)
	if i%3 == 1 && life > 130*24*time.Hour {
		say("active", price*3/2, raised)
	}
	for n, at := 0, from; at.Before(y.until) && at.Before(from.Add(life)); n, at = n+1, at.AddDate(0, months, 0) {
		y.pay(fmt.Sprintf("in_harbour_%d_%d", i, n), who, "harbour_club", id, price, at)
	}
	say("canceled", price, from.Add(life))
	if i%90 == 7 && y.until.Before(from.Add(life)) {
		say("past_due", price, y.until.AddDate(0, 0, -2))
	}
}
