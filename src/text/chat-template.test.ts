import { describe, expect, it } from "vitest";
import { InvalidModelError, InvalidRequestError, UnsupportedError } from "../errors.ts";
import { renderChat } from "./chat-template.ts";

const chatml = `{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful assistant.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}`;

const llama3 = `{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}`;

const mistral = `{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}`;

const system = { role: "system", content: " Be brief. " };
const user = { role: "user", content: "Hi" };
const assistant = { role: "assistant", content: "Hello!" };
const specialTokens = { bos_token: "<s>", eos_token: "</s>" };
const options = { addGenerationPrompt: true, specialTokens };

describe("renderChat", () => {
  it("renders ChatML, with and without a system message", () => {
    expect(renderChat(chatml, [user], options)).toBe(
      "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    );
    const closed = { ...options, addGenerationPrompt: false };
    expect(renderChat(chatml, [{ role: "system", content: "Hm" }, user, assistant], closed)).toBe(
      "<|im_start|>system\nHm<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n",
    );
  });

  it("renders Llama 3 with the given date, tools as JSON and the system message trimmed", () => {
    const now = new Date(2025, 2, 1);
    const tools = [{ type: "function", function: { name: "add" } }];
    expect(renderChat(llama3, [system, user], { ...options, now, tools })).toBe(
      "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 01 Mar 2025\n\n" +
        '{"type": "function", "function": {"name": "add"}}\n\nBe brief.<|eot_id|>' +
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    );
  });

  it("passes further variables, which may replace the defaults", () => {
    const text = renderChat(llama3, [user], { ...options, extra: { date_string: "TODAY", bos_token: "" } });
    expect(text).toMatch(
      /^<\|start_header_id\|>system<\|end_header_id\|>\n\nToday Date: TODAY\n\n<\|eot_id\|>/,
    );
  });

  it("renders Mistral over several turns", () => {
    expect(renderChat(mistral, [user, assistant, user], options)).toBe(
      "<s>[INST] Hi [/INST]Hello!</s>[INST] Hi [/INST]",
    );
  });

  it("joins text parts before the template sees them", () => {
    const content = ["H", "i"].map((text) => ({ type: "text", text }));
    expect(renderChat(mistral, [{ role: "user", content }], options)).toBe("<s>[INST] Hi [/INST]");
  });

  it("reports a conversation that the template refuses, in the template's words", () => {
    const render = () => renderChat(mistral, [user, user], options);
    expect(render).toThrow(InvalidRequestError);
    expect(render).toThrow(/roles must alternate/);
  });

  it("reports a template that cannot be parsed, with its cause", () => {
    const render = () => renderChat("{% for %}", [user], options);
    expect(render).toThrow(InvalidModelError);
    expect(render).toThrow(expect.objectContaining({ cause: expect.any(Error) }));
  });

  it("reports a template that fails, with its cause", () => {
    const render = () => renderChat("{{ messages[0].content.nothing() }}", [user], options);
    expect(render).toThrow(InvalidModelError);
    expect(render).toThrow(expect.objectContaining({ cause: expect.any(Error) }));
  });

  it("reports a model without a template, with a remedy", () => {
    expect(() => renderChat(undefined, [user], options)).toThrow(InvalidModelError);
    expect(() => renderChat(undefined, [user], options)).toThrow(/Append plain text/);
  });

  it("checks the messages", () => {
    expect(() => renderChat(chatml, [], options)).toThrow(InvalidRequestError);
    const image = { role: "user", content: [{ type: "image_url" }] };
    expect(() => renderChat(chatml, [image], options)).toThrow(UnsupportedError);
  });

  it("counts as Python's range does, and not without end", () => {
    const count = (call: string) => renderChat(`{% for i in ${call} %}{{ i }},{% endfor %}`, [user], options);
    expect(count("range(3)")).toBe("0,1,2,");
    expect(count("range(1, 3)")).toBe("1,2,");
    expect(count("range(5, 0, -2)")).toBe("5,3,1,");
    expect(count("range(3, 1)")).toBe("");
    expect(() => count("range(10000000)")).toThrow(InvalidModelError);
    expect(() => count("range(0, 1, 0)")).toThrow(InvalidModelError);
  });

  it("keeps variables of one rendering out of the next", () => {
    const template = "{{ seen }}{% set seen = 'yes' %}{{ seen }}";
    expect(renderChat(template, [user], options)).toBe("yes");
    expect(renderChat(template, [user], options)).toBe("yes");
  });

  it("renders again without parsing again", () => {
    const long = `{# ${"x".repeat(50)} #}${"{% if messages %}{{ messages[0].content }}{% endif %}".repeat(500)}`;
    const time = () => {
      const start = performance.now();
      renderChat(long, [user], options);
      return performance.now() - start;
    };
    const first = time();
    const later = Math.min(time(), time(), time());
    // Parsing is most of the work: measured 5 to 10 times the rendering.
    expect(later).toBeLessThan(first);
  });

  it("keeps working past the number of templates that it holds", () => {
    for (let turn = 0; turn < 2; turn++) {
      for (let index = 0; index < 20; index++) {
        expect(renderChat(`${index}: {{ messages[0].content }}`, [user], options)).toBe(`${index}: Hi`);
      }
    }
  });
});
