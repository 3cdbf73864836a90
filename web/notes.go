package web

import (
	"net/http"
	"time"

	"rollcall/store/customers"
)

// customerNote is a note as it is shown. Its JSON is the API's.
type customerNote struct {
	ID        string    `json:"id"`
	Body      string    `json:"body"`
	Author    string    `json:"author"` // admin, user:<Clerk id> or token:<id>
	Editor    *string   `json:"editor"` // who edited it last, as author; null: nobody
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// shownNote makes one of the store's ready to be shown to who asks.
func (s *Site) shownNote(r *http.Request, n customers.Note) customerNote {
	writer := func(name string) string {
		if admitted(r).admin {
			return name // operators know tokens by their numbers
		}
		return s.ids().author(name)
	}
	shown := customerNote{s.ids().id(noteID, n.ID), n.Body, writer(n.Author), nil, n.CreatedAt, n.UpdatedAt}
	if n.Editor != "" {
		editor := writer(n.Editor)
		shown.Editor = &editor
	}
	return shown
}

func (s *Site) shownNotes(r *http.Request, all []customers.Note) []customerNote {
	shown := make([]customerNote, len(all))
	for i, n := range all {
		shown[i] = s.shownNote(r, n)
	}
	return shown
}

// noteBody is what is sent to write a note.
type noteBody struct {
	Body string `json:"body"`
}

// newNote is what who asks writes in a note.
func newNote(r *http.Request, body string) customers.NewNote {
	return customers.NewNote{Body: body, Author: admitted(r).name()}
}
