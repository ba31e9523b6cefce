//! What a back end must do: the contract, the decoder as data, the KV cache, the block formats.
