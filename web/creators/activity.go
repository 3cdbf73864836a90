package creators

import (
	"strconv"
	"strings"
	"time"

	"rollcall/store/customers"
)

// happening is how the timeline shows a kind of entry. Sentence has the places
// {title}, {campaign}, {money}, {percent}, {return} and {text}; what stands in brackets is left out if its place has no
// value.
type happening struct{ Icon, Tone, Sentence string }

var happenings = map[string]happening{
	"first_seen":            {"person", "", "Joined"},
	"enrolled":              {"book", "", "Enrolled in {title}"},
	"progressed":            {"book", "", "Reached {percent} in {title}"},
	"completed":             {"check", "", "Finished {title}"},
	"enrollment_ended":      {"book", "bad", "Enrollment in {title} ended"},
	"bought":                {"cart", "", "Bought {title}[ for {money}]"},
	"refunded":              {"undo", "bad", "Refunded[ {money} of] {title}"},
	"refund_failed":         {"undo", "bad", "Refund[ of {money}] for {title} failed"},
	"dispute_opened":        {"flag", "bad", "Disputed[ {money} of] {title}"},
	"dispute_won":           {"flag", "", "Dispute over {title} won[, {money}]"},
	"dispute_lost":          {"flag", "bad", "Dispute over {title} lost[, {money}]"},
	"dispute_closed":        {"flag", "", "Dispute over {title} closed[, {money}]"},
	"subscription_started":  {"loop", "", "Subscribed to {title}[ at {money} a period]"},
	"subscription_paid":     {"loop", "", "Paid[ {money}] for {title}"},
	"subscription_renewed":  {"loop", "", "Renewed {title}[ for {money}]"},
	"subscription_past_due": {"loop", "bad", "Renewal of {title}[ for {money}] is not paid"},
	"subscription_paused":   {"loop", "", "Paused {title}"},
	"subscription_canceled": {"loop", "bad", "Canceled {title}, which runs until the end of its period"},
	"subscription_ended":    {"loop", "bad", "{title} ended"},
	"merged":                {"person", "", "Merged with the address {text}"},
	"note":                  {"note", "", "Note: {text}"},
	"signed_in":             {"key", "", "Signed in"},
	"mail_sent":             {"mail", "", "Got the mail {campaign}"},
	"mail_clicked":          {"mail", "", "Clicked in the mail {campaign}"},
	"mail_came_back":        {"mail", "", "Came back: {return} the mail {campaign}"},
	"mail_bounced":          {"mail", "bad", "The mail {campaign} bounced"},
	"mail_complained":       {"mail", "bad", "Called the mail {campaign} spam"},
	"mail_left":             {"mail", "bad", "Unsubscribed from {campaign}"},
}

// activity is an entry as shown.
type activity struct {
	customers.Entry
	Icon, Tone string
	Parts      []part
}

// Percent is the progress that the entry tells of.
func (a activity) Percent() (percent float64) {
	if a.Text != nil {
		percent, _ = strconv.ParseFloat(*a.Text, 64)
	}
	return percent
}

// part is a piece of a sentence: one of its fields is set.
type part struct {
	Plain string
	Place string // title, campaign, money, percent, return or text; its value is the entry's
}

// activityOf puts an entry into words.
func activityOf(e customers.Entry) activity {
	how, ok := happenings[e.Kind]
	if !ok {
		how = happening{"flag", "", strings.ReplaceAll(e.Kind, "_", " ")}
	}
	return activity{e, how.Icon, how.Tone, parts(how.Sentence, e)}
}

// parts splits a sentence at its places.
func parts(sentence string, e customers.Entry) (all []part) {
	for sentence != "" {
		before, rest, found := strings.Cut(sentence, "[")
		all = append(all, places(before)...)
		if !found {
			break
		}
		optional, after, _ := strings.Cut(rest, "]")
		if e.Money != nil {
			all = append(all, places(optional)...)
		}
		sentence = after
	}
	return all
}

// places splits a text without brackets.
func places(text string) (all []part) {
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			all = append(all, part{Plain: before})
		}
		if !found {
			break
		}
		place, after, _ := strings.Cut(rest, "}")
		all, text = append(all, part{Place: place}), after
	}
	return all
}

// activityDay is a day of the timeline.
type activityDay struct {
	Day        string // 2026-11-17
	Label      string // empty: continues the day that the page before ended with
	Activities []activity
}

// daysOf groups entries, newest first, by the days of a time zone. The first group has
// no label if it continues the day last.
func daysOf(entries []customers.Entry, now time.Time, zone *time.Location, last string) (days []activityDay) {
	for _, e := range entries {
		at := e.At.In(zone)
		day := at.Format(time.DateOnly)
		if n := len(days); n == 0 || days[n-1].Day != day {
			label := dayLabel(at, now.In(zone))
			if n == 0 && day == last {
				label = ""
			}
			days = append(days, activityDay{Day: day, Label: label})
		}
		of := &days[len(days)-1]
		of.Activities = append(of.Activities, activityOf(e))
	}
	return days
}

// dayLabel names a day for people; both times are in the same zone.
func dayLabel(at, now time.Time) string {
	switch at.Format(time.DateOnly) {
	case now.Format(time.DateOnly):
		return "Today"
	case now.AddDate(0, 0, -1).Format(time.DateOnly):
		return "Yesterday"
	}
	if at.Year() == now.Year() {
		return at.Format("2 January")
	}
	return at.Format("2 January 2006")
}
