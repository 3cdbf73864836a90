package show

import (
	"math"
	"testing"

	"rollcall/store"
)

func TestDecimalMoney(t *testing.T) {
	for _, c := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{29900, "usd", "299.00 USD"},
		{0, "usd", "0.00 USD"},
		{7, "eur", "0.07 EUR"},
		{-7, "eur", "-0.07 EUR"},
		{5800, "jpy", "5800 JPY"},
		{5800, "XAF", "5800 XAF"},
		{12345, "kwd", "12.345 KWD"},
		{-1005, "tnd", "-1.005 TND"},
		{500, "isk", "5.00 ISK"},
		{500, "ugx", "5.00 UGX"},
		{123456, "rsd", "1234.56 RSD"},
		{1, "zzz", "0.01 ZZZ"},
		{math.MinInt64, "usd", "-92233720368547758.08 USD"},
		{math.MaxInt64, "jpy", "9223372036854775807 JPY"},
	} {
		if got := string(AppendMoney(nil, store.Money{Amount: c.amount, Currency: c.currency})); got != c.want {
			t.Errorf("%d %s is %q, want %q", c.amount, c.currency, got, c.want)
		}
	}
}

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		lang     string
		amount   int64
		currency string
		want     string
	}{
		{"en-US", 29900, "usd", "$299.00"},
		{"en-US", 5800, "jpy", "¥5,800"},
		{"en-US", -123456789, "usd", "-$1,234,567.89"},
		{"en-US", 0, "eur", "€0.00"},
		{"en-US", 5, "gbp", "£0.05"},
		{"en-US", 29900, "aud", "A$299.00"},
		{"en-US", 12345, "kwd", "KWD\u00a012.345"},
		{"en-US", 500, "isk", "ISK\u00a05.00"},
		{"en-US", 7, "zzz", "ZZZ\u00a00.07"},
		{"en-US", math.MinInt64, "usd", "-$92,233,720,368,547,758.08"},
		{"de", 29900, "eur", "299,00\u00a0€"},
		{"de-AT", 123456, "eur", "€\u00a01\u00a0234,56"},
		{"de-CH", 123456789, "chf", "CHF\u00a01’234’567.89"},
		{"fr", 123456, "eur", "1\u00a0234,56\u00a0€"},
		{"es", 29900, "eur", "299,00\u00a0€"},
		{"es-MX", 29900, "mxn", "$299.00"},
		{"pt-BR", 29900, "brl", "R$\u00a0299,00"},
		{"pt-PT", 29900, "eur", "299,00\u00a0€"},
		{"nl", 29900, "eur", "€\u00a0299,00"},
		{"ja", 5800, "jpy", "¥5,800"},
		{"hi", 12345678, "inr", "₹1,23,456.78"},
		{"und", 29900, "eur", "€299.00"},
	} {
		m := store.Money{Amount: c.amount, Currency: c.currency}
		if got := newLocale(c.lang).Money(m); got != c.want {
			t.Errorf("%d %s in %s is %q, want %q", c.amount, c.currency, c.lang, got, c.want)
		}
	}
}

func BenchmarkMoney(b *testing.B) {
	for b.Loop() {
		English.Money(store.Money{Amount: 29900, Currency: "usd"})
	}
}
