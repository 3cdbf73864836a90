package mail

import (
	"crypto/rand"
	"html"
	"html/template"
	"strings"
)

// Around says what stands around the texts of the mails of a class from a store.
type Around struct{ Class, Store, PostalAddress string }

// Why says in the footer why a person gets the mail.
func (a Around) Why() string {
	switch a.Class {
	case "service":
		return "You get this mail because you are a customer of " + a.Store + "."
	case "test":
		return "This is a test. Links to unsubscribe do nothing."
	}
	return "You get this mail because you agreed to get news from " + a.Store + "."
}

// Leave is what the link to the page for leaving says.
func (a Around) Leave() string {
	if a.Class == "service" {
		return "Choose which mails you get"
	}
	return "Unsubscribe"
}

var layout = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Subject}}</title>
</head>
<body style="margin:0;padding:0">
<div style="max-width:600px;margin:0 auto;padding:24px 16px;font:16px/1.5 -apple-system,'Segoe UI',Arial,sans-serif">
{{.Page}}
<div style="margin-top:32px;padding-top:16px;border-top:1px solid #d0d0d0;font-size:13px;line-height:1.5">
<p style="margin:0 0 8px">{{.Why}} <a href="{{.Unsubscribe}}">{{.Leave}}</a></p>
{{with .Lines}}<p style="margin:0">{{range $i, $line := .}}{{if $i}}<br>{{end}}{{$line}}{{end}}</p>
{{end}}</div>
</div>
</body>
</html>
`))

// Frame is what stands around many mails, but for what differs between them.
type Frame struct {
	html   [4]string // before, between and behind the subject, the text and the address of the page for leaving
	before string    // that address, in the plain text
	behind string
}

// Frame makes the frame of mails.
func (a Around) Frame() (*Frame, error) {
	lines := strings.FieldsFunc(a.Store+"\n"+a.PostalAddress, func(r rune) bool { return r == '\n' || r == '\r' })
	subject, page, leave := rand.Text(), rand.Text(), rand.Text() // occur nowhere else
	var b strings.Builder
	err := layout.Execute(&b, struct {
		Around
		Subject, Unsubscribe string
		Page                 template.HTML
		Lines                []string
	}{a, subject, leave, template.HTML(page), lines}) //nolint:gosec // Body.Render escapes the values
	f := &Frame{before: "\n-- \n" + a.Why() + "\n" + a.Leave() + ": ", behind: "\n\n" + strings.Join(lines, "\n") + "\n"}
	rest := b.String()
	for i, mark := range []string{subject, page, leave} {
		f.html[i], rest, _ = strings.Cut(rest, mark)
	}
	f.html[3] = rest
	return f, err
}

// Wrap puts the frame around a mail. leave is the page for leaving.
func (f *Frame) Wrap(subject, page, plain, leave string) (string, string) {
	return f.html[0] + html.EscapeString(subject) + f.html[1] + page + f.html[2] + html.EscapeString(leave) + f.html[3],
		plain + f.before + leave + f.behind
}
