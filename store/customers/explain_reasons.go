package customers

import (
	"cmp"
	"slices"

	"rollcall/store"
	"rollcall/store/pg"
)

// reasons fills in the reasons: values from the row, and the facts that support them.
func (x *explainer) reasons() {
	x.e.Type = x.typeReason()
	x.e.Courses = x.courseReasons()
	x.e.Status = x.statusReason()
	x.e.Source = x.sourceReason()
	x.e.TotalSpent = x.totalReasons()
}

func (x *explainer) typeReason() Reason {
	r := Reason{Value: x.row.Type, Because: []string{}}
	switch r.Value {
	case "subscription":
		r.Why = "Has a subscription, or had one. (The type stays when it ends.)"
		for _, s := range x.e.Subscriptions {
			r.Because = append(r.Because, s.Ref)
		}
	case "paying":
		r.Why = "Has paid at least once. (Refunds don't change the type.)"
		for _, p := range x.e.Payments {
			if p.Gross.Amount > 0 {
				r.Because = append(r.Because, p.Ref)
			}
		}
	default:
		r.Why = "Has never paid."
		for _, e := range x.e.Enrollments {
			r.Because = append(r.Because, e.Ref)
		}
		for _, p := range x.e.Payments {
			r.Because = append(r.Because, p.Ref)
		}
	}
	return r
}

// statusReason lists what has not ended.
func (x *explainer) statusReason() Reason {
	r := Reason{Value: x.row.Status, Why: "Everything has ended or was refunded.", Because: []string{}}
	for _, c := range x.e.Courses {
		r.Because = append(r.Because, c.Because...)
	}
	for _, p := range x.e.Payments {
		if p.Active {
			r.Because = append(r.Because, p.Ref)
		}
	}
	for _, s := range x.e.Subscriptions {
		if s.Active {
			r.Because = append(r.Because, s.Ref)
		}
	}
	slices.Sort(r.Because)
	r.Because = slices.Compact(r.Because)
	if len(r.Because) > 0 {
		r.Why = "Is in a course, owns something bought, or is subscribed."
	}
	return r
}

func (x *explainer) courseReasons() []CourseReason {
	out := []CourseReason{}
	for _, c := range x.facts.courses {
		r := CourseReason{ID: c.ID, Title: c.Title, Because: []string{}}
		for _, e := range x.e.Enrollments {
			if e.CourseID == c.ID {
				r.Because = append(r.Because, e.Ref)
			}
		}
		for _, p := range x.e.Payments {
			if slices.Contains(p.Courses, c.ID) {
				r.Because = append(r.Because, p.Ref)
			}
		}
		out = append(out, r)
	}
	return out
}

// sourceReason finds what happened at the source's time, for the same product.
func (x *explainer) sourceReason() SourceReason {
	r := SourceReason{Source: x.row.Source, Because: []string{}}
	if x.facts.source == nil {
		return r
	}
	r.At, r.Title = pg.UTC(x.facts.source.At), x.facts.source.Title
	if r.At == nil { // a subscription with an unknown start
		return r
	}
	of := func(product *string) bool {
		return product == nil && r.ProductID == nil || product != nil && r.ProductID != nil && *product == *r.ProductID
	}
	for _, s := range x.e.Subscriptions {
		if of(s.ProductID) && s.StartedAt != nil && s.StartedAt.Equal(*r.At) {
			r.Because = append(r.Because, s.Ref)
		}
	}
	for _, p := range x.e.Payments {
		if (of(p.ProductID) || r.ProductID != nil && slices.Contains(p.Courses, *r.ProductID)) && p.PaidAt.Equal(*r.At) {
			r.Because = append(r.Because, p.Ref)
		}
	}
	if *cmp.Or(r.Kind, new(string)) == "free_course" {
		for _, e := range x.e.Enrollments {
			if of(&e.CourseID) {
				r.Because = append(r.Because, e.Ref)
			}
		}
	}
	return r
}

// totalReasons sums up payments, for comparison with the row's totals.
func (x *explainer) totalReasons() []TotalReason {
	out := []TotalReason{}
	for _, m := range x.row.TotalSpent {
		none := store.Money{Currency: m.Currency}
		r := TotalReason{Money: m, Gross: none, Refunded: none, Disputed: none, Because: []string{}}
		for _, p := range x.e.Payments {
			if p.Gross.Currency == m.Currency && p.Gross.Amount > 0 {
				r.Gross.Add(p.Gross.Amount)
				r.Refunded.Add(p.Refunded.Amount)
				r.Disputed.Add(p.Disputed.Amount)
				r.Because = append(r.Because, p.Ref)
			}
		}
		out = append(out, r)
	}
	return out
}
