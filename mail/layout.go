package mail

import (
	"bytes"
	"html/template"
	"strings"
)

// Around is what stands around the text of a mail.
type Around struct {
	Class, Store  string
	PostalAddress string
	Unsubscribe   string // the page for leaving
}

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
<p style="margin:0 0 8px">{{.Why}}{{with .Unsubscribe}} <a href="{{.}}">{{$.Leave}}</a>{{end}}</p>
{{with .Lines}}<p style="margin:0">{{range $i, $line := .}}{{if $i}}<br>{{end}}{{$line}}{{end}}</p>
{{end}}</div>
</div>
</body>
</html>
`))

// Wrap puts what stands around it behind and before the text of a mail.
func (a Around) Wrap(subject, page, plain string) (string, string, error) {
	lines := strings.FieldsFunc(a.Store+"\n"+a.PostalAddress, func(r rune) bool { return r == '\n' || r == '\r' })
	var b bytes.Buffer
	err := layout.Execute(&b, struct {
		Around
		Subject string
		Page    template.HTML
		Lines   []string
	}{a, subject, template.HTML(page), lines}) //nolint:gosec // Body.Render escaped the values
	plain += "\n-- \n" + a.Why() + "\n"
	if a.Unsubscribe != "" {
		plain += a.Leave() + ": " + a.Unsubscribe + "\n"
	}
	return b.String(), plain + "\n" + strings.Join(lines, "\n") + "\n", err
}
