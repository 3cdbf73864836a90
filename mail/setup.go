package mail

import (
	"net/mail"
	"slices"
	"strings"
)

// Names of the settings that sending needs, as workers report which of them they have.
const (
	SettingFrom   = "MAIL_FROM"
	SettingSMTP   = "MAIL_SMTP_URL"
	SettingResend = "RESEND_API_KEY"
	SettingDry    = "MAIL_DRY"
	SettingURL    = "PUBLIC_URL"
)

// MissingSettings is which of the settings that sending needs are not among those set, in words.
func MissingSettings(set []string) (missing []string) {
	has := func(name string) bool { return slices.Contains(set, name) }
	if !has(SettingSMTP) && !has(SettingResend) && !has(SettingDry) {
		missing = append(missing, "No mail server is set. Operators set MAIL_SMTP_URL or RESEND_API_KEY for work.")
	}
	if !has(SettingFrom) {
		missing = append(missing, "No sender is set. Operators set MAIL_FROM to an address of the platform's domain.")
	}
	if !has(SettingURL) {
		missing = append(missing, "Links to unsubscribe have no address to lead to. Operators set PUBLIC_URL.")
	}
	return missing
}

// Recipients are those that mail may go to: addresses, and domains as @example.com. Nil: all.
type Recipients []string

// ReadRecipients reads a list with commas or spaces between. One that names no one is refused: it would mean all.
func ReadRecipients(list string) (all Recipients, err error) {
	for _, one := range strings.FieldsFunc(strings.ToLower(list), func(r rune) bool { return r == ',' || r == ' ' }) {
		if domain, ok := strings.CutPrefix(one, "@"); ok && domain != "" && !strings.Contains(domain, "@") {
			all = append(all, one)
			continue
		}
		if _, err := mail.ParseAddress(one); err != nil {
			return nil, refuse("has %q: write addresses, and domains as @example.com", one)
		}
		all = append(all, one)
	}
	if all == nil {
		return nil, refuse("names no one: write addresses, and domains as @example.com, or leave it out")
	}
	return all, nil
}

// Allow tells whether mail may go to an address.
func (r Recipients) Allow(to string) bool {
	return r == nil || slices.Contains(r, to) || slices.Contains(r, "@"+domainOf(to))
}
