// Package mail makes and sends mails. It knows no database: store/mail keeps the rows.
package mail

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// Values are what the names in a body stand for, in one mail.
type Values struct {
	Name, FirstName, Email, Store, Course, Product string
	Link                                           string // where the mail leads
	Tracked                                        string // the same over this site; empty: clicks on it are not counted
	Unsubscribe                                    string // the page for leaving
}

// Names are the names that a subject and a body may have in braces: {course}. {first_name|friend} says what
// stands there if it is empty.
var Names = []string{"name", "first_name", "email", "store", "course", "product", "link", "unsubscribe"}

func (v Values) of(name string) string {
	switch name {
	case "name":
		return v.Name
	case "first_name":
		return v.FirstName
	case "email":
		return v.Email
	case "store":
		return v.Store
	case "course":
		return v.Course
	case "product":
		return v.Product
	case "link":
		return v.Link
	case tracked:
		return cmp.Or(v.Tracked, v.Link)
	}
	return v.Unsubscribe
}

// tracked is the name in links to {link} of texts whose links are followed over this site. Texts cannot have it.
const tracked = "tracked_link"

// linkIn finds the name of where a mail leads, unless the text says what stands there if it is empty.
var linkIn = regexp.MustCompile(`(?:\{|%7B)link(?:\}|%7D)`)

// NeedsLink tells whether a text lacks something if it is not known where the mail leads.
func NeedsLink(text string) bool { return linkIn.MatchString(text) }

// instead is what stands for a name that is empty, unless the text says it.
var instead = map[string]string{"name": "there", "first_name": "there", "course": "your course",
	"product": "your order", "store": "us"}

// inBraces finds names, and in HTML also those of links, whose braces are encoded there.
var inBraces = regexp.MustCompile(`(?:\{|%7B)([a-z_]+)(?:(?:\||%7C)([^{}"<>]*?))?(?:\}|%7D)`)

// filled is a text in the parts between which the names stand, so that they are looked for once and not in each mail.
type filled []part

// part is some text, and the name behind it; empty: none.
type part struct{ text, name, instead string }

func parts(text string) (all filled) {
	behind := 0
	for _, at := range inBraces.FindAllStringSubmatchIndex(text, -1) {
		p := part{text: text[behind:at[0]], name: text[at[2]:at[3]]}
		if at[4] >= 0 {
			p.instead = text[at[4]:at[5]] // it is part of the text, which is written already
		}
		all, behind = append(all, p), at[1]
	}
	return append(all, part{text: text[behind:]})
}

// fill replaces names by their values, each written by write.
func (f filled) fill(v Values, write func(string) string) string {
	var b strings.Builder
	for _, p := range f {
		b.WriteString(p.text)
		switch value := v.of(p.name); {
		case p.name == "":
		case value != "":
			b.WriteString(write(value))
		case p.instead != "":
			b.WriteString(p.instead)
		default:
			b.WriteString(write(instead[p.name]))
		}
	}
	return b.String()
}

// Refusal is what is wrong with something that a person gave, in words for them.
type Refusal string

func (r Refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

const (
	mostSubject = 200    // characters
	mostBody    = 50_000 // bytes
)

// CheckBody reports what is wrong with the texts of a mail, in words for who wrote them.
func CheckBody(subject, markdown string) error {
	switch {
	case strings.TrimSpace(subject) == "":
		return refuse("The subject is empty. Write what the mail is about.")
	case utf8.RuneCountInString(subject) > mostSubject:
		return refuse("The subject has more than %d characters. Shorten it.", mostSubject)
	case strings.TrimSpace(markdown) == "":
		return refuse("The text is empty. Write what the mail says.")
	case len(markdown) > mostBody:
		return refuse("The text is longer than %d bytes. Shorten it.", mostBody)
	}
	for _, m := range inBraces.FindAllStringSubmatch(subject+"\n"+markdown, -1) {
		if !slices.Contains(Names, m[1]) {
			return refuse("{%s} is not known. You can use {%s}.", m[1], strings.Join(Names, "}, {"))
		}
	}
	_, _, err := read(markdown)
	return err
}

// Links are the addresses on the web that a body leads to, without those that differ from mail to mail.
func Links(markdown string) (links []string) {
	tree, source, err := read(markdown)
	if err != nil {
		return nil
	}
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if to := destination(n, source); entering && to != "" && !inBraces.MatchString(to) && !slices.Contains(links, to) &&
			!strings.HasPrefix(to, "mailto:") {
			links = append(links, to)
		}
		return ast.WalkContinue, nil
	})
	return links
}

// destination is where a link leads; empty if n is none.
func destination(n ast.Node, source []byte) string {
	switch n := n.(type) {
	case *ast.Link:
		return string(n.Destination)
	case *ast.AutoLink:
		if n.AutoLinkType == ast.AutoLinkEmail {
			return "mailto:" + string(n.URL(source))
		}
		return string(n.URL(source))
	}
	return ""
}

var markdownReader = goldmark.New()

// read parses a text, and refuses what is not sent.
func read(markdown string) (tree ast.Node, source []byte, err error) {
	source = []byte(strings.ToValidUTF8(markdown, "\uFFFD"))
	tree = markdownReader.Parser().Parse(text.NewReader(source))
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering || err != nil {
			return ast.WalkContinue, nil
		}
		switch n.(type) {
		case *ast.Image:
			err = refuse("Pictures are not sent. Link to them instead.")
		case *ast.HTMLBlock, *ast.RawHTML:
			err = refuse("HTML is not sent. Write Markdown, and < as &lt;.")
		}
		if to := destination(n, source); err == nil && to != "" {
			err = checkLink(to)
		}
		return ast.WalkContinue, nil
	})
	return tree, source, err
}

// checkLink refuses links that lead nowhere in a mail.
func checkLink(to string) error {
	if to == "{link}" || to == "{unsubscribe}" {
		return nil
	}
	u, err := url.Parse(to)
	switch {
	case err == nil && u.Scheme == "mailto":
		return nil
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return refuse("The link to %q leads nowhere. Begin it with https://, or use {link}.", to)
	}
	return nil
}

// Body is a text that is ready to be filled with the values of many mails. Safe for concurrent use.
type Body struct{ subject, html, text filled }

// NewBody reads a text that CheckBody accepts. wrap is the address by which a link is to be
// followed; nil: its own.
func NewBody(subject, markdown string, wrap func(link string) string) (*Body, error) {
	if err := CheckBody(subject, markdown); err != nil {
		return nil, err
	}
	tree, source, err := read(markdown)
	if err != nil {
		return nil, err
	}
	plain := plainText(tree, source)
	dress(tree, wrap)
	var page bytes.Buffer
	if err := markdownReader.Renderer().Render(&page, source, tree); err != nil {
		return nil, err
	}
	return &Body{subject: parts(subject), html: parts(clean.Sanitize(page.String())), text: parts(plain)}, nil
}

// styles are those of the elements of a text: mail programs know no style sheets.
var styles = map[ast.NodeKind]string{
	ast.KindParagraph:  "margin:0 0 16px",
	ast.KindHeading:    "margin:24px 0 12px;line-height:1.3",
	ast.KindList:       "margin:0 0 16px;padding-left:24px",
	ast.KindListItem:   "margin:0 0 4px",
	ast.KindBlockquote: "margin:0 0 16px;padding-left:16px;border-left:3px solid #d0d0d0",
	ast.KindLink:       "color:#0b57d0",
	ast.KindAutoLink:   "color:#0b57d0",
}

// dress gives all elements their styles, and links their addresses.
func dress(tree ast.Node, wrap func(string) string) {
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if style := styles[n.Kind()]; entering && style != "" {
			n.SetAttributeString("style", []byte(style))
		}
		if link, ok := n.(*ast.Link); ok && entering && wrap != nil {
			switch to := string(link.Destination); {
			case to == "{link}":
				link.Destination = []byte("{" + tracked + "}")
			case strings.HasPrefix(to, "http") && !inBraces.MatchString(to):
				link.Destination = []byte(wrap(to))
			}
		}
		return ast.WalkContinue, nil
	})
}

// clean keeps what mails may have: nothing that runs, and nothing that loads.
var clean = func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code",
		"em", "strong", "a")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("start").OnElements("ol")
	p.AllowAttrs("style").Globally() // only those of styles: HTML in texts is refused
	p.AllowURLSchemes("https", "http", "mailto")
	p.AllowRelativeURLs(true) // {link}
	return p
}()

// Render is one mail: its subject, its HTML and its text, without what the layout adds.
func (b *Body) Render(v Values) (subject, page, plain string) {
	same := func(s string) string { return s }
	return oneLine(b.subject.fill(v, same)), b.html.fill(v, html.EscapeString), b.text.fill(v, same)
}

// Render is a preview of a text, as NewBody and Body.Render.
func Render(subject, markdown string, v Values) (_, page, plain string, err error) {
	b, err := NewBody(subject, markdown, nil)
	if err != nil {
		return "", "", "", err
	}
	subject, page, plain = b.Render(v)
	return subject, page, plain, nil
}

// oneLine makes one line of a value for a header, without control characters.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029'
	}), " ")
}

// FirstName is the first word of a name, if it is one by which people are called.
func FirstName(name string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(name), " ")
	if strings.ContainsAny(first, ".@0123456789") {
		return ""
	}
	return first
}
