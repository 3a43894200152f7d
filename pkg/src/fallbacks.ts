/**
 * How to talk to models whose file has no chat template, told by the control tokens of their vocabulary. These are the
 * forms that the models' makers published, in our own words.
 * @module
 */

/** One form. */
export interface Fallback {
  /** The tokens by which it is known: all of them are in the vocabulary. */
  tokens: readonly string[];
  /** In Jinja, as files have it. */
  template: string;
  /** Strings that end an answer, beside the tokens that do. */
  stop?: readonly string[];
  /** Architectures (`general.architecture`) of which this is the form, where tokens do not tell. */
  architectures?: readonly string[];
}

/** A template that puts each message between two marks. */
function marked(begin: string, end: string, prompt: string): string {
  return (
    `{{- bos_token }}{%- for message in messages %}${begin}{{- message.content | trim }}${end}{%- endfor %}` +
    `{%- if add_generation_prompt %}${prompt}{%- endif %}`
  );
}

/** The text of all system messages, for forms that have no place of their own for it, before the first other message. */
const lead =
  "{%- set ns = namespace(system='') %}{%- for message in messages if message.role == 'system' %}" +
  "{%- set ns.system = ns.system + message.content | trim + '\\n\\n' %}{%- endfor %}";

/** By name; the first whose tokens are there is taken. */
export const fallbacks: Readonly<Record<string, Fallback>> = {
  chatml: {
    tokens: ["<|im_start|>", "<|im_end|>"],
    template:
      "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}" +
      "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}",
  },
  "llama-3": {
    tokens: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    template: marked(
      "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}",
      "{{- '<|eot_id|>' }}",
      "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}",
    ),
  },
  gemma: {
    tokens: ["<start_of_turn>", "<end_of_turn>"],
    template:
      `{{- bos_token }}${lead}` +
      "{%- for message in messages if message.role != 'system' %}" +
      "{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}" +
      "{{- ns.system + message.content | trim + '<end_of_turn>\\n' }}{%- set ns.system = '' %}{%- endfor %}" +
      "{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}",
  },
  "phi-3": {
    tokens: ["<|user|>", "<|assistant|>", "<|end|>"],
    template:
      "{%- for message in messages %}{{- '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}{%- endfor %}" +
      "{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}",
  },
  granite: {
    tokens: ["<|start_of_role|>", "<|end_of_role|>"],
    template:
      "{%- for message in messages %}{{- '<|start_of_role|>' + message.role + '<|end_of_role|>' + message.content }}" +
      "{{- '<|end_of_text|>\\n' }}{%- endfor %}" +
      "{%- if add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}",
  },
  // The built-in tasks model, whose turns end by its end of text.
  turns: {
    tokens: ["<|user|>", "<|assistant|>", "<|endoftext|>"],
    template:
      `{{- bos_token }}${lead}{%- for message in messages if message.role != 'system' %}` +
      "{{- '<|' + message.role + '|>' + ns.system + message.content }}{%- set ns.system = '' %}" +
      "{%- if message.role == 'assistant' %}{{- eos_token }}{%- endif %}{%- endfor %}" +
      "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}",
  },
  mistral: {
    tokens: ["[INST]", "[/INST]"],
    template:
      `{{- bos_token }}${lead}{%- for message in messages if message.role != 'system' %}` +
      "{%- if message.role == 'assistant' %}{{- ' ' + message.content | trim + eos_token }}" +
      "{%- else %}{{- '[INST] ' + ns.system + message.content + ' [/INST]' }}{%- set ns.system = '' %}{%- endif %}{%- endfor %}",
  },
  // Marks of plain text: Llama 2 and the first Mistrals have no tokens for them, nor has Zephyr.
  "llama-2": {
    tokens: [],
    architectures: ["llama"],
    template:
      "{%- set ns = namespace(system='') %}{%- for message in messages %}" +
      "{%- if message.role == 'system' %}{%- set ns.system = '<<SYS>>\\n' + message.content | trim + '\\n<</SYS>>\\n\\n' %}" +
      "{%- elif message.role == 'assistant' %}{{- ' ' + message.content | trim + ' ' + eos_token }}" +
      "{%- else %}{{- bos_token + '[INST] ' + ns.system + message.content | trim + ' [/INST]' }}{%- set ns.system = '' %}{%- endif %}" +
      "{%- endfor %}",
  },
  zephyr: {
    tokens: [],
    architectures: ["stablelm"],
    template:
      "{%- for message in messages %}{{- '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}{%- endfor %}" +
      "{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}",
  },
  plain: {
    tokens: [],
    template:
      "{{- bos_token }}{%- for message in messages %}" +
      "{%- if message.role == 'system' %}{{- message.content + '\\n\\n' }}" +
      "{%- else %}{{- ('Assistant: ' if message.role == 'assistant' else 'User: ') + message.content + '\\n\\n' }}{%- endif %}" +
      "{%- endfor %}{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}",
    stop: ["\nUser:", "\n\nUser:"],
  },
};

/** The form for a vocabulary with these control tokens, of a model of this architecture. */
export function chooseFallback(spelled: (text: string) => boolean, architecture: string): Fallback {
  const fits = ({ tokens, architectures }: Fallback) =>
    tokens.length > 0 ? tokens.every(spelled) : (architectures?.includes(architecture) ?? true);
  // The last one fits always.
  return Object.values(fallbacks).find(fits) as Fallback;
}
