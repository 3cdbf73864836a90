package customers

import "testing"

// Every rule reads as one sentence.
func TestRuleText(t *testing.T) {
	labels := Labels{names: map[string]string{"c1": "Mixing Basics", "p1": "Beat Pack", "t1": "VIP", "t2": "late payer",
		"s1": "At risk", "k1": "Welcome"}}
	for rule, want := range map[string]string{
		`{"all":[{"enrollment":{"course":"c1","progress_max":10}},{"none":[{"tag":"t1"}]}]}`://
		"Customers who are enrolled in Mixing Basics (progress at most 10%) and are not tagged VIP.",
		`{"any":[{"tag":["t1","t2"]},{"all":[{"spent":{"min":"99.50","currency":"usd"}},{"segment":"s1"}]}]}`://
		"Customers who (are tagged VIP or late payer or (have spent at least 99.50 USD and are in the segment At risk)).",
		`{"customer":{"type":["lead","paying"],"last_activity_before":"30d","note":"no"}}`://
		"Customers who are Leads or Customers, have last been active more than 30 days ago and have no note.",
		`{"none":[{"customer":{"note":"no"}},{"any":[{"tag":"t1"},{"product":"p1"}]}]}`://
		"Customers who have a note, are not tagged VIP and have not bought or subscribed to Beat Pack.",
		`{"customer":{"country":["SE","NO"],"status":"active"}}`: "Customers who are Active and live in Norway or Sweden.",
		`{"none":[{"customer":{"country":"MK"}}]}`:               "Customers who do not live in North Macedonia.",
		`{"enrollment":{"times_max":0}}`:                         "Customers who are not enrolled in a course.",
		`{"purchase":{"product":"p1","times_min":2,"refunded":"partly"}}`://
		"Customers who have bought Beat Pack at least 2 times (refunded in part).",
		`{"subscription":{"status":["active","trialing"],"ends_before":"+7d","cancelling":"yes"}}`: //
		"Customers who have a subscription (status Active or In trial, period ends within the next 7 days, " +
			"canceled at the period's end).",
		`{"none":[{"subscription":{}}]}`: "Customers who have no subscription.",
		`{"enrollment":{"course":"gone","enrolled_after":"2026-01-31"}}`://
		"Customers who are enrolled in “gone” (unknown) (enrolled on or after 31 Jan 2026).",
		`{"none":[{"engagement":["slipping","dormant"]}]}`: "Customers who are not dormant or slipping by engagement.",
		`{"none":[{"can_mail":"yes"}]}`:                    "Customers who may not get marketing mail.",
		`{"mail":{"was":"clicked","campaign":"k1","after":"30d"}}`://
		"Customers who have clicked in a mail of the campaign Welcome in the last 30 days.",
		`{"mail":{"was":"sent","after":"7d","times_max":0}}`: "Customers who have not been sent a mail in the last 7 days.",
		`{"mail":{"was":["bounced","complained"],"times_min":2}}`://
		"Customers who have had mails bounce at least 2 times or called mails spam at least 2 times.",
		`{"mail":{"was":"unsubscribed","campaign":"k1"}}`://
		"Customers who have unsubscribed by a mail of the campaign Welcome.",
		`{"spent":{"min":"1","max":"20"}}`: "Customers who have spent at least 1 and at most 20 in one currency.",
	} {
		r, err := ParseRule(rule)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		if got := r.Text(labels); got != want {
			t.Errorf("%s reads\n%s\nwant\n%s", rule, got, want)
		}
	}
}
