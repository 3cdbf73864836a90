package creators

import (
	"rollcall/store"
	"rollcall/store/customers"
)

// customerFigures are the numbers at the top of a customer's page.
type customerFigures struct {
	Paid     int                    // payments of money
	First    *customers.PaymentFact // of them; nil: none
	Disputed []store.Money          // lost, or withdrawn for now
	Finished int                    // courses
	Progress float64                // average of all courses, percent
}

// figuresOf counts what a customer has paid for and finished.
func figuresOf(c customers.Customer, e customers.Explanation) (f customerFigures) {
	for i := range e.Payments {
		p := &e.Payments[i]
		if p.Gross.Amount == 0 {
			continue
		}
		f.Paid++
		if f.First == nil || p.PaidAt.Before(f.First.PaidAt) {
			f.First = p
		}
	}
	for _, total := range e.TotalSpent {
		if total.Disputed.Amount > 0 {
			f.Disputed = append(f.Disputed, total.Disputed)
		}
	}
	for _, course := range c.Courses {
		f.Progress += course.Progress
		if course.Done() {
			f.Finished++
		}
	}
	f.Progress /= float64(max(1, len(c.Courses)))
	return f
}

// EmailState says whether the customer's address is known to be theirs.
func (p customerPage) EmailState() string {
	state := "Not verified"
	for _, origin := range p.Why.Email.Because {
		switch {
		case origin.Via != "user" && origin.Via != "address":
		case p.Why.LastVerified(origin.Person):
			state = "Was verified, is no longer"
		default:
			return "Verified"
		}
	}
	return state
}
