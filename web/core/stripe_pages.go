package core

import "net/url"

// StripeAccount is the address of a connected account in Stripe's dashboard.
func StripeAccount(account string) string {
	return "https://dashboard.stripe.com/" + url.PathEscape(account)
}

// StripePage is the address of an object in Stripe's dashboard; page is the part of the
// dashboard. account is empty for the platform's own objects.
func StripePage(account string, test bool, page, id string) string {
	at := StripeAccount(account)
	if account != "" {
		at += "/"
	}
	if test {
		at += "test/"
	}
	return at + page + "/" + url.PathEscape(id)
}
