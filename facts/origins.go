package facts

import (
	"strings"
	"time"
)

// Provenance is what a version tells of where it comes from.
type Provenance struct {
	Via   string    // event, backfill (read from an API), export, or what an invoice or the catalogue copied
	At    time.Time // the source's own time; of an object read from an API or an export, when that was
	Event string    // the sender's id of the event; empty if it came by none
}

// Provenance reads a version, or the version of a claim. ok is false if it is
// empty, as of what was never said.
func (v Version) Provenance() (p Provenance, ok bool) {
	s := string(v)
	if len(s) > 2 && s[1] == ' ' { // the rank of a claim
		s = s[2:]
	}
	s, heard := strings.CutPrefix(s, string(hearsay("")))
	stamp, rest, _ := strings.Cut(s, " ")
	_, id, _ := strings.Cut(rest, " ") // behind the rank of the type
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

// afterTotal is the id behind a charge's total, see readCharge; Stripe's ids
// say what they are of.
func afterTotal(id string) string {
	total, rest, found := strings.Cut(id, " ")
	if found && len(total) >= totalDigits && strings.Trim(total, "0123456789") == "" && (rest == "" || strings.HasPrefix(rest, "evt_")) {
		return rest
	}
	return id
}

// viaOf tells by an id how it got here: hearsay carries that of its document.
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

// Anonymous is the version without what it may tell of a person: of hearsay only the
// id of the invoice is left that it was copied from. Other versions have no more
// than the id of an event and stay. Of hearsay of one moment none is newer then,
// and without what it tells of the person all of it says the same.
func (v Version) Anonymous() Version {
	parts := strings.SplitN(string(v), " ", 3) // time, rank, words
	if !strings.HasPrefix(string(v), string(hearsay(""))) || len(parts) < 3 {
		return v
	}
	invoice, _, _ := strings.Cut(parts[2], " ")
	if !strings.HasPrefix(invoice, "in_") {
		invoice = ""
	}
	return Version(parts[0] + " " + parts[1] + " " + invoice)
}
