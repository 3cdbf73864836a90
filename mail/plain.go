package mail

import (
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"
)

// plainText is a text for mail programs that show no HTML.
func plainText(tree ast.Node, source []byte) string {
	w := plainWriter{source: source}
	for n := tree.FirstChild(); n != nil; n = n.NextSibling() {
		w.block(n, "")
	}
	return strings.TrimSpace(w.b.String()) + "\n"
}

type plainWriter struct {
	source []byte
	b      strings.Builder
}

// block writes a block, each of its lines behind a prefix.
func (w *plainWriter) block(n ast.Node, prefix string) {
	switch n := n.(type) {
	case *ast.List:
		w.list(n, prefix)
	case *ast.Blockquote:
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			w.block(c, prefix+"> ")
		}
	case *ast.ThematicBreak:
		w.lines("---", prefix)
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		w.lines(strings.TrimRight(string(n.Lines().Value(w.source)), "\n"), prefix)
	default:
		w.lines(w.inline(n), prefix)
	}
}

func (w *plainWriter) list(l *ast.List, prefix string) {
	number := l.Start
	for item := l.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "- "
		if l.IsOrdered() {
			mark = strconv.Itoa(number) + ". "
			number++
		}
		var inner plainWriter
		inner.source = w.source
		for c := item.FirstChild(); c != nil; c = c.NextSibling() {
			inner.block(c, "")
		}
		text := strings.TrimRight(inner.b.String(), "\n")
		w.b.WriteString(prefix + mark + strings.ReplaceAll(text, "\n", "\n"+prefix+strings.Repeat(" ", len(mark))) + "\n")
	}
	w.b.WriteString("\n")
}

func (w *plainWriter) lines(text, prefix string) {
	w.b.WriteString(prefix + strings.ReplaceAll(text, "\n", "\n"+prefix) + "\n\n")
}

// inline is the text of a node; links have their addresses behind them.
func (w *plainWriter) inline(n ast.Node) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.Write(unescaped(c.Value(w.source)))
			if c.SoftLineBreak() || c.HardLineBreak() {
				b.WriteString("\n")
			}
		case *ast.String:
			b.Write(c.Value)
		case *ast.AutoLink:
			b.Write(c.URL(w.source))
		case *ast.CodeSpan:
			b.WriteString(strings.ReplaceAll(w.raw(c), "\n", " "))
		case *ast.Link:
			text, to := w.inline(c), string(c.Destination)
			if b.WriteString(text); text != to {
				b.WriteString(": " + to)
			}
		default:
			b.WriteString(w.inline(c))
		}
	}
	return b.String()
}

// raw is the text of code, in which nothing is escaped.
func (w *plainWriter) raw(n ast.Node) (text string) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			text += string(t.Value(w.source))
		}
	}
	return text
}

func unescaped(text []byte) []byte {
	return util.ResolveEntityNames(util.ResolveNumericReferences(util.UnescapePunctuations(text)))
}
