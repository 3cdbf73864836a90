package mail_test

import (
	"testing"

	"rollcall/store/mail"
)

// A store is warned from 0.1% of complaints and stopped at more than 0.3%, but not for a few mails.
func TestRates(t *testing.T) {
	t.Parallel()
	for of, want := range map[mail.Rates][2]string{
		{Mails: 49, Complaints: 40, Bounces: 40}: {"", ""},
		{Mails: 1000, Complaints: 1}:             {"", ""},
		{Mails: 1000, Complaints: 2}:             {"complaints", ""},
		{Mails: 500, Complaints: 1}:              {"complaints", ""}, // one may be chance: no brake
		{Mails: 1000, Complaints: 4}:             {"complaints", "complaints"},
		{Mails: 1000, Bounces: 50}:               {"", ""},
		{Mails: 1000, Bounces: 51}:               {"", "bounces"},
		{Mails: 1000, Refused: 51}:               {"", "refused"},
	} {
		if got := [2]string{of.Warning(), of.Brake()}; got != want {
			t.Errorf("%+v: %q, want %q", of, got, want)
		}
	}
}
