package watch

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/store/status"
)

// A store whose mail does not go out has a watch: at once if Rollcall paused it, and if the
// provider takes none only when that lasts. It is reported, and so is its end.
func TestMailThatStops(t *testing.T) {
	since := func(d time.Duration) *time.Time { at := ago(d); return &at }
	seen := status.Traffic{At: noon, Mail: []status.StoppedMail{
		{Store: "back", Paused: "bounces"},
		{Store: "down", Failing: since(40 * time.Minute)},
		{Store: "hiccup", Failing: since(5 * time.Minute)},
		{Store: "it's both", Paused: "complaints", Failing: since(3 * time.Hour)},
	}}
	seen.Campaigns = []status.PausedCampaign{{ID: "camp_a", Store: "s1", Name: "News"}}
	var got []string
	for _, f := range Judge(seen) {
		if f.Kind == CampaignPaused || f.Kind == MailPaused || f.Kind == MailFailing {
			got = append(got, fmt.Sprintf("%s %s: %s; %s", f.Severity, f.Name(), f.What, f.Fix[len(f.Fix)-1]))
		}
	}
	want := []string{
		"problem campaign_paused/camp_a: the campaign “News” of store s1 is paused: more customers match than were " +
			"confirmed; rollcall mail preview --store s1 camp_a",
		"problem mail_failing/down: the provider has taken no mail of store down for 40 minutes; " +
			"rollcall doctor --store down",
		"problem mail_failing/it's both: the provider has taken no mail of store it's both for 3 hours; " +
			`rollcall doctor --store 'it'\''s both'`,
		"problem mail_paused/back: store back sends no mail: too many addresses do not exist; " +
			"rollcall mail resume --store back",
		"problem mail_paused/it's both: store it's both sends no mail: too many recipients complained; " +
			`rollcall mail resume --store 'it'\''s both'`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	state := func(watches []status.Watch) (text string) {
		for _, w := range watches {
			if w.Name == "mail_paused/back" {
				text = w.State
			}
		}
		return text
	}
	watches := Next(seen, nil)
	if got := state(watches); got != "problem" {
		t.Errorf("a pause is %q", got)
	}
	seen.Mail = nil
	for range 12 {
		seen.At = seen.At.Add(time.Minute)
		watches = Next(seen, watches)
	}
	if got := state(watches); got != "ok" {
		t.Errorf("a pause that ended is %q", got)
	}
}
