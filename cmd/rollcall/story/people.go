package story

import (
	"strings"
	"time"
)

// The table: stores, what they sell, people, and what these did how long ago.

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

type money struct {
	amount   int64 // minor units
	currency string
}

func usd(n int64) money { return money{n, "usd"} }
func eur(n int64) money { return money{n, "eur"} }
func jpy(n int64) money { return money{n, "jpy"} }

// store is a shop. Its sales come by one of three roads: charges of the
// platform that name the store; charges on the store's own Stripe account
// (direct); charges of the platform that name only the product, or only the
// account that the money is passed on to.
type store struct {
	id, name string
	owner    string // Clerk user
	account  string // Stripe
	road     string // named, direct or passed-on
}

type product struct {
	id, store, kind, title string
	price                  money
	items                  []string // of a bundle
}

var stores = []store{
	{"store_aurora", "Aurora Academy", "user_demoOlga", "acct_demoAurora", "named"},
	{"store_borealis", "Borealis Sound", "user_demoBo", "acct_demoBorealis", "direct"},
	{"store_hanamori", "花森スタジオ", "user_demoMegumi", "acct_demoHanamori", "passed-on"},
}

var products = byID([]product{
	{"course_mixing", "store_aurora", "course", "Mixing Basics", usd(15000), nil},
	{"course_mastering", "store_aurora", "course", "Mastering Deep Dive", usd(12000), nil},
	{"course_starter", "store_aurora", "course", "Home Studio Starter", usd(0), nil},
	{"pack_vocal", "store_aurora", "digital", "Vocal Template Pack", usd(2900), nil},
	{"bundle_both", "store_aurora", "bundle", "Mix & Master Bundle", usd(19900), []string{"course_mixing", "course_mastering"}},
	{"coaching_hour", "store_aurora", "coaching", "One-to-One Hour", usd(7500), nil},
	{"club_aurora", "store_aurora", "membership", "Aurora Club", eur(1900), nil},
	{"course_synth", "store_borealis", "course", "Synth Design", eur(5900), nil},
	{"pack_presets", "store_borealis", "digital", "Nordic Presets", eur(3500), nil},
	{"club_loft", "store_borealis", "membership", "Loft Sessions", eur(1200), nil},
	{"course_koto", "store_hanamori", "course", "箏入門", jpy(5800), nil},
	{"course_song", "store_hanamori", "course", "うたの基本", jpy(0), nil},
	{"pack_rain", "store_hanamori", "digital", "雨音パック", jpy(2400), nil},
	{"course_drums", "store_northlight", "course", "Finger Drumming", usd(4900), nil},
	{"course_keys", "store_northlight", "course", "Keys from Zero", usd(7900), nil},
	{"course_ears", "store_northlight", "course", "Ear Training", usd(0), nil},
	{"club_north", "store_northlight", "membership", "Northlight Circle", usd(900), nil},
})

func byID(all []product) map[string]product {
	out := map[string]product{}
	for _, p := range all {
		out[p.id] = p
	}
	return out
}

// person is somebody and what they did.
type person struct {
	name, email string
	user        string // Clerk id; empty: never signed up
	did         []act
	absent      string // why they must be on no list; empty: they must
	sales       map[string]*sale
}

// sold remembers a sale for what becomes of it later.
func (p *person) sold(what string, s *sale) {
	if p.sales == nil {
		p.sales = map[string]*sale{}
	}
	p.sales[what] = s
}

// act is a thing done: what is sent of it, and what it counts for on the lists.
type act interface {
	send(*teller)
	count(*teller)
}

var people = []person{
	{name: "John Doe", email: "john.doe@example.com", user: "user_demoJohn", did: []act{
		signsUp{ago: 12*day + 4*hour},
		buys{ago: 12*day + 3*hour, what: "course_mixing"},
		learns{ago: 9 * day, course: "course_mixing", percent: 20},
		buys{ago: 6*day + 5*hour, what: "course_mastering"},
		learns{ago: 4 * day, course: "course_mastering", percent: 60},
		buys{ago: 3*day + 2*hour, what: "pack_vocal"},
		learns{ago: 26 * hour, course: "course_mastering", percent: 100},
		learns{ago: 2*hour + 10*minute, course: "course_mixing", percent: 45},
		signsIn{ago: 2*hour + 30*minute},
	}},
	{name: "Ava Lindqvist", email: "ava.lindqvist@example.com", user: "user_demoAva", did: []act{
		signsUp{ago: 11 * day},
		buys{ago: 10*day + 20*hour, what: "course_mixing"},
		refunded{ago: 8 * day, of: "course_mixing", amount: 1500},
		refunded{ago: 5 * day, of: "course_mixing", amount: 2500},
		changesEmail{ago: 2 * day, to: "ava@lindqvist.example"},
		signsIn{ago: 30 * hour},
		buys{ago: 7 * day, what: "pack_presets", guest: true}, // at another store, without signing in
	}},
	{name: "Ben Okafor", email: "ben.okafor@example.org", user: "user_demoBen", did: []act{
		signsUp{ago: 9*day + 2*hour},
		buys{ago: 9 * day, what: "course_starter", road: "free"},
		learns{ago: 8 * day, course: "course_starter", percent: 10},
		learns{ago: 5 * hour, course: "course_starter", percent: 72.5},
	}},
	{name: "Chloé Marchetti", email: "chloe.marchetti@example.com", user: "user_demoChloe", did: []act{
		signsUp{ago: 41 * day},
		subscribes{ago: 40 * day, plan: "club_aurora", paid: 2, cancelled: 3 * day},
	}},
	{name: "Dmitri Kováč", email: "dmitri.kovac@example.net", user: "user_demoDmitri", did: []act{
		signsUp{ago: 20 * day},
		buys{ago: 19 * day, what: "pack_vocal"},
		disputes{ago: 12 * day, of: "pack_vocal", closed: 20 * hour},
	}},
	{name: "Elena Rossi", email: "elena.rossi@example.it", user: "user_demoElena", did: []act{
		signsUp{ago: 18 * day},
		buys{ago: 17 * day, what: "course_mixing"},
		learns{ago: 16 * day, course: "course_mixing", percent: 80},
		disputes{ago: 10 * day, of: "course_mixing", won: true, closed: 28 * hour},
	}},
	{name: "Jonas Berg", email: "jonas.berg@example.se", user: "", did: []act{
		buys{ago: 4*day + hour, what: "bundle_both", guest: true},
		learns{ago: 50 * hour, course: "course_mixing", percent: 20},
	}},
	{name: "Noah Weiss", email: "noah.weiss@example.de", user: "user_demoNoah", did: []act{
		signsUp{ago: 6 * day},
		paysOutside{ago: 5*day + 3*hour, what: "coaching_hour"},
	}},
	{name: "Priya Nair", email: "priya.nair@example.in", user: "user_demoPriya", did: []act{
		signsUp{ago: 3 * day, unverified: true},
		enrolls{ago: 3*day - hour, course: "course_starter"},
		verifies{ago: 70 * minute},
		learns{ago: 40 * minute, course: "course_starter", percent: 5},
	}},
	{name: "Mallory", email: "dmitri.kovac@example.net", user: "user_demoMallory", did: []act{
		signsUp{ago: 2 * day, unverified: true},
		intrudes{ago: 47 * hour, course: "course_starter"},
	}, absent: "signed up with Dmitri's address and never proved it theirs"},
	{name: "Emil Novák", email: "emil.novak@example.eu", user: "", did: []act{
		buys{ago: 8 * day, what: "course_mixing", guest: true, road: "fails"},
	}, absent: "their bank debit failed"},
	{name: "Gustavo Lima", email: "gustavo.lima@example.com.br", user: "", did: []act{
		buys{ago: 6 * day, what: "pack_vocal", guest: true, road: "expires"},
	}, absent: "left the checkout unpaid"},
	{name: "Olga Aurora", email: "olga@aurora.example", user: "user_demoOlga", did: []act{
		signsUp{ago: 60 * day},
		buysPlan{ago: 5 * day},
	}, absent: "a store's owner, who pays the platform itself"},

	{name: "Kofi Mensah", email: "kofi.mensah@example.com.gh", user: "user_demoKofi", did: []act{
		signsUp{ago: 7 * day},
		buys{ago: 6 * day, what: "course_synth", claims: "store_aurora"},
		learns{ago: 90 * minute, course: "course_synth", percent: 55},
	}},
	{name: "Lucía Fernández", email: "lucia.fernandez@example.es", user: "user_demoLucia", did: []act{
		signsUp{ago: 10 * day},
		buys{ago: 10*day - hour, what: "course_synth"},
		refunded{ago: 3 * day, of: "course_synth", amount: 5900},
	}},
	{name: "Mateusz Zieliński", email: "mateusz@example.pl", user: "user_demoMateusz", did: []act{
		signsUp{ago: 36 * day},
		subscribes{ago: 35 * day, plan: "club_loft", paid: 2, basil: true},
		refunded{ago: 2 * day, of: "club_loft", amount: 400},
	}},
	{name: "Ida Sørensen", email: "ida.sorensen@example.dk", user: "user_demoIda", did: []act{
		signsUp{ago: 50 * hour},
		subscribes{ago: 49 * hour, plan: "club_loft", trial: true, basil: true},
	}},
	{name: "Liam O’Neill", email: "Liam.ONeill@Example.ie", user: "", did: []act{
		buys{ago: 5 * day, what: "pack_presets", guest: true},
		buys{ago: 22 * hour, what: "course_synth", guest: true, price: usd(6400)},
	}},

	{name: "森 花", email: "hana.mori@example.jp", user: "user_demoHana", did: []act{
		signsUp{ago: 5 * day},
		buys{ago: 4*day + 6*hour, what: "course_koto", road: "later"},
		learns{ago: 35 * minute, course: "course_koto", percent: 30},
	}},
	{name: "佐藤 健", email: "ken.sato@example.jp", user: "user_demoKen", did: []act{
		signsUp{ago: 8 * day},
		enrolls{ago: 8*day - hour, course: "course_song"},
		learns{ago: 3 * day, course: "course_song", percent: 100},
		buys{ago: 27 * hour, what: "pack_rain"},
	}},
	{name: "Kira Tanaka", email: "kira.tanaka@example.jp", user: "", did: []act{
		enrolls{ago: 6 * day, course: "course_song"},
		leaves{ago: 31 * hour, course: "course_song"},
	}},
}

// finalEmail is the person's address at the end, as customers are listed by.
func (p *person) finalEmail() string {
	email := p.email
	for _, a := range p.did {
		if c, ok := a.(changesEmail); ok {
			email = c.to
		}
	}
	return strings.ToLower(email)
}
