package story

import (
	"fmt"
	"strings"
	"time"
)

// The past: a store that was there before Rollcall was. What its people did is
// known, and nobody is on a list yet: the backfills have to bring them.

var pastStores = []store{
	{"store_northlight", "Northlight School", "user_demoNils", "acct_demoNorthlight", "named"},
}

const (
	pastBuyers      = 98 // people with a course
	pastTwice       = 27 // of them, with two things told of their courses
	pastSubscribers = 12 // people with nothing but a subscription
	pastBoth        = 3  // of the buyers, with a subscription too
	pastSerial      = 50000
)

// What the backfills of the past must find and do.
const (
	PastCourses       = pastBuyers + pastTwice
	PastCoursesNew    = pastBuyers
	PastSubscriptions = pastSubscribers + pastBoth
	PastSubscribers   = pastSubscribers
)

// Past tells what was before the story, as the events that would have told of
// it; but nobody listened then.
func Past(now time.Time) Story { return tell(now, pastStores, pastPeople(), pastSerial) }

func pastPeople() (all []person) {
	for i := range pastBuyers + pastSubscribers {
		p := pastPerson(i)
		switch {
		case i >= pastBuyers:
			p.did = append(p.did, subscribes{ago: p.since, plan: "club_north", paid: 1 + i%3, basil: i%2 == 0})
		case i < pastTwice:
			p.did = append(p.did, twoThings(i, p.since)...)
		default:
			p.did = append(p.did, oneThing(i, p.since))
		}
		if i < pastBoth {
			p.did = append(p.did, subscribes{ago: p.since - 2*day, plan: "club_north", paid: 2})
		}
		all = append(all, p.person)
	}
	return all
}

// twoThings are a purchase and the progress after it, or two enrollments.
func twoThings(i int, ago time.Duration) []act {
	if i%2 == 0 {
		return []act{
			buys{ago: ago, what: "course_drums"},
			learns{ago: ago - 5*day, course: "course_drums", percent: float64(i * 3)},
		}
	}
	return []act{
		enrolls{ago: ago, course: "course_ears"},
		enrolls{ago: ago - day, course: "course_keys"},
	}
}

func oneThing(i int, ago time.Duration) act {
	switch i % 3 {
	case 0:
		return buys{ago: ago, what: "course_keys", guest: i%2 == 0}
	case 1:
		return buys{ago: ago, what: "course_drums", guest: i%2 == 0}
	}
	return enrolls{ago: ago, course: "course_ears"}
}

type pastOne struct {
	person
	since time.Duration // their first act, ago
}

// pastPerson makes up who they are. Two in three have an account.
func pastPerson(i int) pastOne {
	given := strings.Fields("Ada Bruno Celia Dario Edda Felix Greta Hugo Ines Jaro Kaja Levi Mila Nino Orla Pavel Quinn Rosa Sami Tove Uwe Vera")
	family := strings.Fields("Winter Kowalski Moreau Haddad Sundberg")
	first, last := given[i%len(given)], family[(i+i/len(given))%len(family)]
	p := pastOne{since: time.Duration(400-3*i) * day}
	p.name = first + " " + last
	p.email = strings.ToLower(first + "." + last + "@example.net")
	if i%3 != 0 {
		p.user = fmt.Sprintf("user_demoPast%03d", i)
		p.did = []act{signsUp{ago: p.since + hour}}
	}
	return p
}
