package object_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/object"
	"sextant/internal/object/objecttest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	objecttest.Run(t, objecttest.Serve(t).Open(t), "some/run/")
}

func TestConformanceReal(t *testing.T) {
	b, prefix := objecttest.Real(t)
	objecttest.Run(t, b, prefix)
}

// What goes wrong is told in words, with what to do about it.
func TestErrors(t *testing.T) {
	t.Parallel()
	s := objecttest.Serve(t)
	b := s.Open(t)
	ctx := context.Background()
	for _, c := range []struct {
		refuse    string
		kind      object.Kind
		transient bool
		hint      string
	}{
		{"403 AccessDenied", object.Refused, false, "s3:PutObject"},
		{"403 InvalidAccessKeyId", object.Refused, false, "credentials"},
		{"403 SignatureDoesNotMatch", object.Refused, false, "credentials"},
		{"404 NoSuchBucket", object.NoBucket, false, "create the bucket"},
		{"403 RequestTimeTooSkewed", object.Clock, false, "clock"},
		{"503 SlowDown", object.Unreachable, true, "reached"},
		{"500 InternalError", object.Unreachable, true, "reached"},
		{"501 NotImplemented", object.Other, false, ""},
	} {
		s.Refuse(c.refuse)
		put := b.Put(ctx, "k", strings.NewReader("x"), 1)
		_, get := b.Get(ctx, "k", 0)
		list := b.List(ctx, "", func(object.Info) error { return nil })
		for op, err := range map[string]error{"write": put, "read": get, "list": list} {
			var e *object.Error
			if !errors.As(err, &e) || e.Kind != c.kind && c.refuse != "501 NotImplemented" || object.Transient(err) != c.transient && c.kind != object.Other || !strings.Contains(e.Hint(), c.hint) || e.Op != op {
				t.Errorf("%s %s: %v (%+v)", c.refuse, op, err, e)
			}
			if err != nil && strings.Contains(err.Error(), "store-key-of-tests") {
				t.Errorf("an error holds the secret: %v", err)
			}
		}
	}
	s.Refuse("")
	s.Cut()
	if err := b.Put(ctx, "k", strings.NewReader("x"), 1); !object.Transient(err) {
		t.Errorf("cut off: %v", err)
	}
	s.Mend()
	if err := b.Put(ctx, "k", strings.NewReader("x"), 1); err != nil {
		t.Errorf("mended: %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	b, err := object.Open(object.Config{Bucket: "bucket", Endpoint: "http://127.0.0.1:1", Region: "x", Getenv: func(n string) string {
		if strings.HasPrefix(n, "AWS_") && strings.Contains(n, "ACCESS_KEY") {
			return "x"
		}
		return ""
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = b.Get(ctx, "k", 0)
	if !object.Transient(err) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v", err)
	}
}

// Credentials come from a file as well as from the environment.
func TestCredentialsFile(t *testing.T) {
	t.Parallel()
	s := objecttest.Serve(t)
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, ".aws", "credentials")
	if err := os.WriteFile(file, []byte("[eval]\naws_access_key_id = a\naws_secret_access_key = b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "eval", "AWS_ENDPOINT_URL": s.URL, "AWS_DEFAULT_REGION": "r"}
	b, err := object.Open(object.Config{Bucket: objecttest.Bucket, Getenv: func(n string) string { return env[n] }})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Put(context.Background(), "k", strings.NewReader("x"), 1); err != nil {
		t.Error(err)
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"s3://bucket": "bucket|", "s3://bucket/": "bucket|", "s3://bucket/a/b/": "bucket|a/b", "s3://my.bucket-1/ä": "my.bucket-1|ä",
	} {
		b, p, err := object.ParseURL(in)
		if err != nil || b+"|"+p != want {
			t.Errorf("%s: %s|%s %v", in, b, p, err)
		}
	}
	for _, in := range []string{"", "bucket/a", "s3://", "s3://ab", "s3://key:secret@bucket/x", "gs://bucket", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/a?b"} {
		if _, _, err := object.ParseURL(in); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"minio:9000": "must be a URL", "https://": "must be a URL", "ftp://x": "must be a URL", "https://key:sk@minio": "no name or password", "https://minio/bucket": "no path",
	} {
		_, err := object.Open(object.Config{Bucket: "bucket", Endpoint: in})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := object.Open(object.Config{Bucket: "bucket", Addressing: "host"}); err == nil {
		t.Error("addressing")
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("s3://bucket/a/b")
	f.Add("s3://a@b/c?d")
	f.Fuzz(func(t *testing.T, s string) {
		b, p, err := object.ParseURL(s)
		if err != nil {
			return
		}
		b2, p2, err := object.ParseURL("s3://" + b + "/" + p)
		if err != nil || b2 != b || p2 != p {
			t.Errorf("%q: %q %q, then %q %q %v", s, b, p, b2, p2, err)
		}
	})
}
