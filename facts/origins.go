package facts

import (
	"strings"
	"time"
)

// Provenance is the origin of a version.
type Provenance struct {
	Via   string    // event, backfill (from an API), export, or what an invoice or the catalogue copied
	At    time.Time // the source's own time; of an object from an API or an export, the time of reading
	Event string    // the sender's id of the event, if any
}

// Provenance parses a version, or the version of a claim. ok is false if it is empty.
func (v Version) Provenance() (p Provenance, ok bool) {
	s := string(v)
	if len(s) > 2 && s[1] == ' ' { // the rank of a claim
		s = s[2:]
	}
	s, heard := strings.CutPrefix(s, string(hearsay("")))
	stamp, rest, _ := strings.Cut(s, " ")
	_, id, _ := strings.Cut(rest, " ") // after the rank of the type
	at, err := time.Parse(stampLayout, stamp)
	if err != nil {
		return p, false
	}
	if !heard {
		id = afterTotal(id)
	}
	p = Provenance{Via: viaOf(heard, id), At: at}
	if p.Via == "event" {
		p.Event = id
	}
	return p, true
}

// afterTotal returns the id after a charge's total, see readCharge. Stripe's ids show their type.
func afterTotal(id string) string {
	total, rest, found := strings.Cut(id, " ")
	if found && len(total) >= totalDigits && strings.Trim(total, "0123456789") == "" &&
		(rest == "" || strings.HasPrefix(rest, "evt_")) {
		return rest
	}
	return id
}

// viaOf derives from an id how it was received. Hearsay has the id of its document.
func viaOf(heard bool, id string) string {
	switch {
	case !heard && id == "":
		return "backfill"
	case !heard:
		return "event"
	case strings.HasPrefix(id, "in_"):
		return "invoice"
	case strings.HasPrefix(id, "prod_"):
		return "catalogue"
	}
	return "export"
}

// Anonymous returns the version without personal data. Hearsay keeps only the id of the invoice
// that it was copied from; other versions hold just an event id and stay. Hearsay of the same time
// then has equal versions, but without the personal data its content is equal, too.
func (v Version) Anonymous() Version {
	parts := strings.SplitN(string(v), " ", 3) // time, rank, content
	if !strings.HasPrefix(string(v), string(hearsay(""))) || len(parts) < 3 {
		return v
	}
	invoice, _, _ := strings.Cut(parts[2], " ")
	if !strings.HasPrefix(invoice, "in_") {
		invoice = ""
	}
	return Version(parts[0] + " " + parts[1] + " " + invoice)
}
