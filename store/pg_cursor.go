package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// position is the last row of a page: what a cursor says. The id breaks ties.
type position struct {
	Sort string  `json:"sort"`
	Key  *string `json:"key,omitempty"` // nil: NULL
	ID   int64   `json:"id"`
}

// errCursor says no more than this: a cursor is ours to write and to read.
var errCursor = badParam("cursor", "is damaged; take next_cursor as it was given, or leave it out to start from the beginning")

func (p position) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor reads a cursor of a list sorted by sort; nil if there is none.
func decodeCursor(cursor, sort string) (*position, error) {
	if cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return nil, errCursor
	}
	var p position
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || d.More() || p.ID <= 0 || p.Sort == "" {
		return nil, errCursor
	}
	if p.Sort != sort {
		return nil, badParam("cursor", "belongs to a list with sort=%s, this one has sort=%s; leave it out to start from the beginning", p.Sort, sort)
	}
	return &p, nil
}
