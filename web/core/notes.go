package core

import (
	"net/http"
	"time"

	"rollcall/store/customers"
)

// CustomerNote is a note as it is shown. Its JSON is the API's.
type CustomerNote struct {
	ID        string    `json:"id"`
	Body      string    `json:"body"`
	Author    string    `json:"author"` // admin, user:<Clerk id> or token:<id>
	Editor    *string   `json:"editor"` // who edited it last, as author; null: nobody
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// ShownNote makes one of the store's ready to be shown to who asks.
func (s *Site) ShownNote(r *http.Request, n customers.Note) CustomerNote {
	writer := func(name string) string {
		if Admitted(r).Admin {
			return name // operators know tokens by their numbers
		}
		return s.Ids().author(name)
	}
	shown := CustomerNote{s.Ids().Id(NoteID, n.ID), n.Body, writer(n.Author), nil, n.CreatedAt, n.UpdatedAt}
	if n.Editor != "" {
		editor := writer(n.Editor)
		shown.Editor = &editor
	}
	return shown
}

func (s *Site) ShownNotes(r *http.Request, all []customers.Note) []CustomerNote {
	shown := make([]CustomerNote, len(all))
	for i, n := range all {
		shown[i] = s.ShownNote(r, n)
	}
	return shown
}

// NoteBody is what is sent to write a note.
type NoteBody struct {
	Body string `json:"body"`
}

// NewNote is what who asks writes in a note.
func NewNote(r *http.Request, body string) customers.NewNote {
	return customers.NewNote{Body: body, Author: Admitted(r).Name()}
}
