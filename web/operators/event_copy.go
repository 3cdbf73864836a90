package operators

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/web/core"
)

// command is a command to copy, for an event.
type command struct{ Label, Text string }

// maxCommand is the longest command in bytes.
const maxCommand = 8 << 10

// commandsFor are what one may type to have an event applied again. What the sender sent
// cannot be copied as a request: its signature is not stored, and expires.
func (s *Pages) commandsFor(r *http.Request, e store.Event) (all []command) {
	if e.Payload == nil {
		return nil
	}
	if e.Status != "pending" {
		all = append(all, command{"Apply it again", fmt.Sprintf(
			`curl -X POST %s -H "Authorization: Bearer $ADMIN_TOKEN" -H 'Content-Type: application/json' -d '{"ids":[%d]}'`,
			show.Quote(s.address(r)+"/api/admin/events/replay"), e.ID)})
	}
	if send := sendAgain(e); send != "" && len(send) <= maxCommand {
		all = append(all, command{"Send it again as a new event, after a correction", send})
	}
	return all
}

// sendAgain is the command that sends the data of a platform event again, as a new event.
func sendAgain(e store.Event) string {
	var body struct{ Data json.RawMessage }
	var data bytes.Buffer
	if e.Source != "platform" || !slices.Contains(facts.PlatformTypes(), e.Type) ||
		json.Unmarshal(e.Payload, &body) != nil ||
		json.Compact(&data, body.Data) != nil {
		return ""
	}
	return "rollcall events send " + e.Type + " " + show.Quote(show.Visible(data.String()))
}

// address is the site's address for programs: PUBLIC_URL, or the one of the request.
func (s *Pages) address(r *http.Request) string {
	if s.Cfg.PublicURL != "" {
		return s.Cfg.PublicURL
	}
	scheme := "http"
	if s.ByHTTPS(r) {
		scheme = "https"
	}
	if origin, ok := core.Origin(scheme + "://" + r.Host); ok {
		return origin
	}
	return ""
}

// stripePage is an event in Stripe's dashboard; empty for other senders.
func stripePage(e store.Event) string {
	if e.Source != "stripe" || !strings.HasPrefix(e.EventID, "evt_") {
		return ""
	}
	return core.StripePage(e.Account, e.Mode() == "test", "events", e.EventID)
}
