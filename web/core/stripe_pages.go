package core

import "net/url"

// StripePage is the address of an object in Stripe's dashboard; page is the part of the
// dashboard. account is empty for the platform's own objects.
func StripePage(account string, test bool, page, id string) string {
	at := "https://dashboard.stripe.com/"
	if account != "" {
		at += url.PathEscape(account) + "/"
	}
	if test {
		at += "test/"
	}
	return at + page + "/" + url.PathEscape(id)
}
