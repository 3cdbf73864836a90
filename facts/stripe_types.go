package facts

import "slices"

// stripeFamilies lists the types of the families in stripeReaders.
var stripeFamilies = map[string][]string{
	"charge.dispute.": {"created", "updated", "closed", "funds_withdrawn", "funds_reinstated"},
	"customer.subscription.": {"created", "updated", "deleted", "paused", "resumed", "trial_will_end",
		"pending_update_applied", "pending_update_expired"},
}

// stripeSince maps a type to the first API version that sends it.
var stripeSince = map[string]string{
	"refund.failed":        "2024-10-28.acacia",
	"invoice_payment.paid": "2025-03-31.basil",
}

// StripeTypes lists the event types that are read and that an endpoint of an API version can send,
// sorted. Version "" returns all.
func StripeTypes(version string) (types []string) {
	for name := range stripeReaders {
		if members, ok := stripeFamilies[name]; ok {
			for _, m := range members {
				types = append(types, name+m)
			}
		} else if version == "" || version >= stripeSince[name] {
			types = append(types, name)
		}
	}
	slices.Sort(types)
	return types
}
