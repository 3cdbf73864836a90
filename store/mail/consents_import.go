package mail

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/pg"
)

// ConsentColumns are those that a file of consents may have: store_id, said_at and wording (the proof)
// are needed, and so are one of user_id and email, and one of marketing and tracking.
var ConsentColumns = []string{"store_id", "user_id", "email", "marketing", "tracking", "said_at", "wording"}

// LineError is what is wrong with a line of a file.
type LineError struct {
	Line   int
	Reason string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// ReadConsents reads a CSV file of consents, with a line of names, as events of the platform: so they are
// kept, applied and replayed like those that it sends. A line of a file has the same id whenever it is
// read. known is the error of a store that a line must not name. The error joins a *LineError for each
// line that is wrong.
func ReadConsents(file io.Reader, now time.Time, known func(storeID string) error) (
	events []store.NewEvent, err error) {
	rows := csv.NewReader(file)
	names, err := rows.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty: the first line must have the names of the columns")
	case err != nil:
		return nil, fmt.Errorf("the first line must have the names of the columns: %w", err)
	}
	for i, name := range names {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains(ConsentColumns, names[i]) {
			return nil, fmt.Errorf("column %q is unknown; known are %s", name, strings.Join(ConsentColumns, ", "))
		}
	}
	var wrong []error
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			if len(events)+len(wrong) == 0 {
				return nil, errors.New("it has no lines behind the names of the columns")
			}
			return events, errors.Join(wrong...)
		}
		line, _ := rows.FieldPos(0)
		if err == nil {
			data := map[string]string{}
			for i, name := range names {
				data[name] = row[i]
			}
			var e store.NewEvent
			if e, err = consentEvent(data, now, known); err == nil {
				events = append(events, e)
				continue
			}
		}
		if parse := new(csv.ParseError); errors.As(err, &parse) {
			line, err = parse.Line, parse.Err
		}
		wrong = append(wrong, &LineError{line, err.Error()})
	}
}

// mostConsents is how many consents one request may have, and mostWrong how many of them an error names.
const mostConsents, mostWrong = 500, 20

// ConsentsOf reads consents of a store, each with the columns of a file but its store, as ReadConsents reads a file.
// The same consent has the same id in both. The error names which are wrong, and why.
func ConsentsOf(storeID string, sent []map[string]any, now time.Time) (events []store.NewEvent, err error) {
	if len(sent) == 0 || len(sent) > mostConsents {
		return nil, pg.Refuse("consents", "must be 1 to %d, got %d", mostConsents, len(sent))
	}
	var wrong []string
	for i, one := range sent {
		data, err := consentData(storeID, one)
		var e store.NewEvent
		if err == nil {
			e, err = consentEvent(data, now, func(string) error { return nil })
		}
		if events = append(events, e); err != nil {
			wrong = append(wrong, fmt.Sprintf("number %d: %v", i+1, err))
		}
	}
	if n := len(wrong); n > mostWrong {
		wrong = append(wrong[:mostWrong], fmt.Sprintf("and %d more", n-mostWrong))
	}
	if len(wrong) > 0 {
		return nil, pg.Refuse("consents", "nothing was imported. %s", strings.Join(wrong, "; "))
	}
	return events, nil
}

// consentData is a consent as a line of a file has it.
func consentData(storeID string, sent map[string]any) (map[string]string, error) {
	data := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if name == "store_id" || !slices.Contains(ConsentColumns, name) {
			return nil, fmt.Errorf("%q is unknown; known are %s", name, strings.Join(ConsentColumns[1:], ", "))
		}
		switch value := sent[name].(type) {
		case nil:
		case string:
			data[name] = value
		case bool:
			data[name] = strconv.FormatBool(value)
		default:
			return nil, fmt.Errorf("%s must be a text, true or false", name)
		}
	}
	data["store_id"] = storeID
	return data, nil
}

// consentEvent is the event of a row.
func consentEvent(data map[string]string, now time.Time, known func(string) error) (e store.NewEvent, err error) {
	for name, value := range data {
		if data[name] = strings.TrimSpace(value); data[name] == "" {
			delete(data, name)
		}
	}
	at, err := time.Parse(time.RFC3339, data["said_at"])
	switch {
	case err != nil, at.Year() < 1970:
		return e, errors.New("said_at must be a time, as 2026-01-12T10:00:00Z")
	case at.After(now):
		return e, errors.New("said_at is in the future")
	case data["wording"] == "":
		return e, errors.New("wording is missing: what they agreed to is the proof")
	}
	delete(data, "said_at")
	body, err := json.Marshal(map[string]any{"type": "consent.updated", "timestamp": at.UTC(), "data": data})
	if err != nil {
		return e, err
	}
	hash := sha256.Sum256(body)
	e = store.NewEvent{Source: "platform", EventID: "import_" + hex.EncodeToString(hash[:16]), Type: "consent.updated",
		OccurredAt: at.UTC(), Payload: body}
	_, err = facts.Read(facts.Event{Source: e.Source, ID: e.EventID, Type: e.Type, OccurredAt: e.OccurredAt,
		Payload: body})
	if bad, is := errors.AsType[*facts.Malformed](err); is {
		_, reason, _ := strings.Cut(bad.Reason, ": ")
		return e, errors.New(reason)
	}
	if err == nil {
		err = known(data["store_id"])
	}
	return e, err
}

// importAtOnce is how many events are put into the inbox at once.
const importAtOnce = 500

// ImportConsents puts events of ReadConsents into the inbox, where workers find them. It returns how many
// were not there before. by is who imports them, as operators see it on the page of the event.
func (r *Recipients) ImportConsents(ctx context.Context, events []store.NewEvent, by string) (added int, err error) {
	defer pg.Wrap(&err, "mail.ImportConsents(%d)", len(events))
	headers, err := json.Marshal(map[string]string{"Imported-By": by})
	if err != nil {
		return 0, err
	}
	for i := range events {
		events[i].Headers = headers
	}
	for some := range slices.Chunk(events, importAtOnce) {
		in, err := r.InsertEvents(ctx, some)
		if err != nil {
			return added, err
		}
		for _, row := range in {
			if !row.Duplicate {
				added++
			}
		}
	}
	return added, nil
}
