// The paths of --inspect with Go's net/http: redirects, cookies, codings, ranges, trailers, timeouts.
// It needs the standard library only: go run inspect_go.go URL.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

var base = os.Args[1]

func check(name string, body func() error) {
	if err := body(); err != nil {
		fmt.Printf("  FAILED  %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("  ok      %s\n", name)
}

func expect(actual, wanted interface{}, what string) error {
	if one, other := fmt.Sprintf("%v", actual), fmt.Sprintf("%v", wanted); one != other {
		return fmt.Errorf("%s: %s instead of %s", what, one, other)
	}
	return nil
}

func read(client *http.Client, path string) (*http.Response, []byte, error) {
	response, err := client.Get(base + path)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response, content, err
}

func document(client *http.Client, path string) (map[string]interface{}, error) {
	_, content, err := read(client, path)
	if err != nil {
		return nil, err
	}
	shown := map[string]interface{}{}
	return shown, json.Unmarshal(content, &shown)
}

func main() {
	client := &http.Client{Timeout: 20 * time.Second}

	check("a query and a multipart form are shown", func() error {
		shown, err := document(client, "/get?"+url.Values{"a": {"x y"}}.Encode())
		if err != nil {
			return err
		}
		if err := expect(shown["args"], map[string]string{"a": "x y"}, "args"); err != nil {
			return err
		}
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		form.WriteField("a", "b")
		file, _ := form.CreateFormFile("f", "name.txt")
		file.Write([]byte("text"))
		form.Close()
		response, err := client.Post(base+"/post", form.FormDataContentType(), &body)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		shown = map[string]interface{}{}
		if err := json.NewDecoder(response.Body).Decode(&shown); err != nil {
			return err
		}
		return expect([]interface{}{shown["form"], shown["files"]}, "[map[a:b] map[f:text]]", "the form")
	})

	check("redirects and cookies", func() error {
		jar, _ := cookiejar.New(nil)
		withJar := &http.Client{Jar: jar, Timeout: client.Timeout}
		shown, err := document(withJar, "/cookies/set?a=1")
		if err != nil {
			return err
		}
		if err := expect(shown["cookies"], "map[a:1]", "cookies"); err != nil {
			return err
		}
		response, _, err := read(withJar, "/redirect/5?absolute=true")
		if err != nil {
			return err
		}
		if err := expect(response.Request.URL.Path, "/get", "where it ends"); err != nil {
			return err
		}
		if _, _, err := read(withJar, "/redirect/11"); err == nil {
			return errors.New("more redirects than the limit were followed")
		}
		return nil
	})

	check("gzip is decoded, and a range is a part", func() error {
		shown, err := document(client, "/gzip")
		if err != nil {
			return err
		}
		if err := expect(shown["gzipped"], true, "gzipped"); err != nil {
			return err
		}
		request, _ := http.NewRequest("GET", base+"/range/100", nil)
		request.Header.Set("Range", "bytes=26-28")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		content, _ := io.ReadAll(response.Body)
		return expect([]interface{}{response.StatusCode, string(content)}, "[206 abc]", "the range")
	})

	check("trailers follow the content", func() error {
		response, _, err := read(client, "/trailers?X-Sum=7")
		if err != nil {
			return err
		}
		return expect(response.Trailer, "map[X-Sum:[7]]", "the trailers")
	})

	check("a slow body arrives, and timeouts end a wait", func() error {
		start := time.Now()
		_, content, err := read(client, "/drip?numbytes=5&duration=300ms")
		if err != nil {
			return err
		}
		if time.Since(start) < 300*time.Millisecond {
			return errors.New("it was too fast")
		}
		if err := expect(string(content), "*****", "the content"); err != nil {
			return err
		}
		for _, path := range []string{"/delay/5", "/drip?duration=5"} {
			if _, _, err := read(&http.Client{Timeout: 200 * time.Millisecond}, path); err == nil {
				return errors.New(path + ": no timeout")
			}
		}
		return nil
	})

	check("300 delays at once", func() error {
		var all sync.WaitGroup
		failures := make(chan error, 300)
		for number := 0; number < 300; number++ {
			all.Add(1)
			go func() {
				defer all.Done()
				response, _, err := read(client, "/delay/500ms")
				if err == nil {
					err = expect(response.StatusCode, 200, "the status")
				}
				failures <- err
			}()
		}
		all.Wait()
		close(failures)
		for err := range failures {
			if err != nil {
				return err
			}
		}
		return nil
	})
}
