package pg

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// Position is the last row of a page, as a cursor encodes it. The id breaks ties.
type Position struct {
	Sort string  `json:"sort"`
	Key  *string `json:"key,omitempty"` // nil: NULL
	ID   int64   `json:"id"`
}

// ErrCursor gives no details, because only Rollcall writes cursors.
var ErrCursor = Refuse("cursor",
	"is damaged; take next_cursor as it was given, or leave it out to start from the beginning")

// Encode returns the position as a cursor.
func (p Position) Encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// DecodeCursor decodes a cursor of a list with this sort; nil if it is empty.
func DecodeCursor(cursor, sort string) (*Position, error) {
	if cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return nil, ErrCursor
	}
	var p Position
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || d.More() || p.ID <= 0 || p.Sort == "" {
		return nil, ErrCursor
	}
	if p.Sort != sort {
		return nil, Refuse("cursor",
			"belongs to a list with sort=%s, this one has sort=%s; leave it out to start from the beginning", p.Sort, sort)
	}
	return &p, nil
}
