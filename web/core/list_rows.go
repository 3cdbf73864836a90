package core

import (
	"slices"

	"rollcall/store"
	"rollcall/store/customers"
)

// typeIcons are the icons of types of customers.
var typeIcons = map[string]string{"lead": "gift", "paying": "cart", "subscription": "crown"}

// Did says in a sentence what a customer did last.
func Did(c customers.Customer) string {
	of := c.LastActivityOf.Title
	if of == "" {
		return activities[c.LastActivity]
	}
	if c.LastActivity == "progress" {
		i := slices.IndexFunc(c.Courses, func(x customers.Course) bool { return x.ID == c.LastActivityOf.ID })
		if i >= 0 {
			return "Reached " + percent(c.Courses[i].Progress) + "% in " + of
		}
	}
	if verb := verbs[c.LastActivity]; verb != "" {
		return verb + " " + of
	}
	return activities[c.LastActivity]
}

// verbs are what customers did, before what they did it to.
var verbs = map[string]string{
	"enrollment":      "Enrolled in",
	"progress":        "Progressed in",
	"completion":      "Finished",
	"course_purchase": "Bought",
	"purchase":        "Bought",
	"subscription":    "Subscribed to",
	"payment":         "Paid for",
}

// mainOf is what a row of the list shows of a customer's courses and products: one by
// name, and how many more there are.
type mainOf struct {
	Course  *customers.Course
	Product string // if there is no course
	More    int
}

// mainCourse chooses the course that the customer was in last, else the newest.
func mainCourse(c customers.Customer) (m mainOf) {
	others := products(c)
	m.More = max(0, len(c.Courses)+len(others)-1)
	for i := range c.Courses {
		if m.Course = &c.Courses[i]; m.Course.ID == c.LastActivityOf.ID {
			break
		}
	}
	if m.Course == nil && len(others) > 0 {
		m.Product = others[len(others)-1]
	}
	return m
}

// worth is what a row shows of the money of a customer.
type worth struct {
	Main     *store.Money
	Returned bool         // all of it was refunded
	Other    *store.Money // in the second of two currencies
	More     int          // further currencies, if there are more than two
	Back     *store.Money // refunded
}

// worthOf chooses what a row shows of what was spent, in the order to show.
func worthOf(c customers.Customer, spent []store.Money) (w worth) {
	if len(c.Refunded) > 0 {
		w.Back = &c.Refunded[0]
	}
	if len(spent) > 0 {
		w.Main = &spent[0]
	}
	switch len(spent) {
	case 0:
	case 1:
		w.Returned = w.Main.Amount == 0 && w.Back != nil
	case 2:
		w.Other = &spent[1]
	default:
		w.More = len(spent) - 1
	}
	return w
}
