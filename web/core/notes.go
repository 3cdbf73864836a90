package core

import (
	"net/http"
	"time"

	"rollcall/store/customers"
)

// CustomerNote is a note as pages and the API show it.
type CustomerNote struct {
	ID        string    `json:"id"`
	Body      string    `json:"body"`
	Author    string    `json:"author"` // admin, user:<Clerk id> or token:<id>
	Editor    *string   `json:"editor"` // of the last edit, as author; null: none
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// ShownNote converts a note of the store for the visitor of r.
func (s *Site) ShownNote(r *http.Request, n customers.Note) CustomerNote {
	shown := CustomerNote{s.IDs().ID(NoteID, n.ID), n.Body, s.ShownAuthor(r, n.Author), nil, n.CreatedAt, n.UpdatedAt}
	if n.Editor != "" {
		editor := s.ShownAuthor(r, n.Editor)
		shown.Editor = &editor
	}
	return shown
}

// ShownAuthor is who wrote something, as the visitor of r sees it.
func (s *Site) ShownAuthor(r *http.Request, name string) string {
	if Admitted(r).Admin {
		return name // operators use the numbers of tokens
	}
	return s.IDs().author(name)
}

// ShownNotes converts notes, see ShownNote.
func (s *Site) ShownNotes(r *http.Request, all []customers.Note) []CustomerNote {
	shown := make([]CustomerNote, len(all))
	for i, n := range all {
		shown[i] = s.ShownNote(r, n)
	}
	return shown
}

// NoteBody is the body of a request to write a note.
type NoteBody struct {
	Body string `json:"body"`
}

// NewNote is a note whose author is the visitor of r.
func NewNote(r *http.Request, body string) customers.NewNote {
	return customers.NewNote{Body: body, Author: Admitted(r).Name()}
}
