package mail

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/emersion/go-message"
	gomessage "github.com/emersion/go-message/mail"
)

// Kept is a message that was kept instead of sent, as a mail program shows it.
type Kept struct {
	Subject, From, To string
	Headers           []Field // all of them, as they would have gone out
	Text, HTML        string
}

// Field is a header of a message.
type Field struct{ Name, Value string }

// ReadKept reads a message.
func ReadKept(raw []byte) (k Kept, err error) {
	r, err := gomessage.CreateReader(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) {
		return k, err
	}
	defer r.Close()
	k.head(&r.Header)
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return k, nil
		}
		if err != nil && !message.IsUnknownCharset(err) {
			return k, err
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			return k, err
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			k.HTML = string(body)
		} else {
			k.Text = string(body)
		}
	}
}

// head reads the headers. What cannot be decoded stays as it is.
func (k *Kept) head(h *gomessage.Header) {
	for fields := h.Fields(); fields.Next(); {
		value, err := fields.Text()
		if err != nil {
			value = fields.Value()
		}
		k.Headers = append(k.Headers, Field{fields.Key(), value})
		switch fields.Key() {
		case "Subject":
			k.Subject = value
		case "From":
			k.From = value
		case "To":
			k.To = value
		}
	}
}
