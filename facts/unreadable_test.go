package facts

import (
	"strings"
	"testing"
	"time"
)

// What is wrong with a payload is said in words of its sender, not of this program.
func TestWhatIsWrongInWords(t *testing.T) {
	for payload, want := range map[[3]string]string{
		{"stripe", "checkout.session.completed", `{"data":{"object":"x"}}`}: "data.object is text; it must be an object",
		{"stripe", "checkout.session.completed", `{"data":[]}`}:             "data is a list; it must be an object",
		{"stripe", "customer.subscription.updated", `{"data":{"object":{"id":"sub_1","items":{"data":true}}}}`}: "" +
			"data.object.items.data is true or false; it must be a list",
		{"stripe", "charge.refunded", `{"data":{"object":{"id":"ch_1","billing_details":7}}}`}: "" +
			"data.object.billing_details is a number; it must be an object",
		{"clerk", "user.created", `{"data":{"id":5}}`}: "id is a number; it must be text",
		{"clerk", "session.created", `{"data":"x"}`}:   "the object is text; it must be an object",
		{"stripe", "checkout.session.completed", `{"data":{"object":{"id":"cs_1","amount_total":"12.50"}}}`}: "" +
			`amount_total is text ("12.50"); Stripe sends a whole number`,
		{"stripe", "checkout.session.completed", `{"data":{"object":{"id":"cs_1","amount_total":12.5}}}`}: "" +
			`amount_total is 12.5; Stripe sends a whole number`,
	} {
		set, err := Read(Event{Source: payload[0], Type: payload[1], ID: "evt_1", OccurredAt: time.Now(),
			Payload: []byte(payload[2])})
		got := strings.Join(set.Notes, "; ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "Go ") || strings.Contains(got, "facts.") {
			t.Errorf("%s: %s", payload, got)
		}
	}
}
